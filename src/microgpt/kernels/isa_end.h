/* The end of what isa_SET.h began: clang wants its pragma closed in the same file. */
#ifdef TARGET_IS_PUSHED
#pragma clang attribute pop
#endif
