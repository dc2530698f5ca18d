/* A few threads that share the parts of a job. They live as long as one call of the model: none is left between calls, so that
   fork() and the end of the interpreter have nothing to look after. */
#ifndef MICROGPT_TEAM_H
#define MICROGPT_TEAM_H

#include <stddef.h>

typedef struct Team Team;

/* One part of a job. member: which of the threads it runs in, from 0, the caller's. */
typedef void (*TeamPart)(void *job, size_t part, size_t member);

/* At most `threads`, the caller's among them, and not more than there are processors; NULL, which stands for the caller alone,
   where that leaves one, or where no thread can be made. */
Team *team_start(size_t threads);
void team_end(Team *team);
size_t team_size(const Team *team);

/* Runs all parts of a job, in no particular order, and returns when they are done. */
void team_run(Team *team, size_t parts, TeamPart run, void *job);

#endif
