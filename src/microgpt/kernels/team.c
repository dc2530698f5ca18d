/* POSIX threads; where there are none, a team is always the caller alone. */
#define _DEFAULT_SOURCE
#include "team.h"

#if defined(__GNUC__) && (defined(__unix__) || defined(__APPLE__))
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* How often a thread looks before it sleeps: for a tenth of a millisecond, which is longer than the pauses between two jobs of a
   step, but for those in which another process has the core. */
enum { LOOKS = 2000, MOST_THREADS = 64, STACK = 1 << 20 };

struct Team {
    TeamPart run;
    void *job;
    atomic_size_t left;       /* parts that nobody has taken */
    atomic_size_t unfinished; /* parts not done */
    atomic_int ended;
    /* Who sleeps has said so before it looks a last time, and whoever changes what it waits for looks at these afterwards. */
    atomic_int sleepers, caller_sleeps;
    pthread_mutex_t mutex;
    pthread_cond_t work_came, work_done;
    size_t size;
    struct Member {
        Team *team;
        size_t number;
        pthread_t thread;
    } members[MOST_THREADS];
};

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Takes parts as long as there are some. A part that is taken keeps the job as it is until it is done. */
static void take_parts(Team *team, size_t member)
{
    size_t left = atomic_load(&team->left);
    while (left > 0) {
        if (!atomic_compare_exchange_weak(&team->left, &left, left - 1))
            continue;
        team->run(team->job, left - 1, member);
        if (atomic_fetch_sub(&team->unfinished, 1) == 1 && atomic_load(&team->caller_sleeps)) {
            pthread_mutex_lock(&team->mutex);
            pthread_cond_signal(&team->work_done);
            pthread_mutex_unlock(&team->mutex);
        }
        left = atomic_load(&team->left);
    }
}

static int has_nothing_to_do(Team *team) { return atomic_load(&team->left) == 0 && !atomic_load(&team->ended); }

static void *member_main(void *argument)
{
    const struct Member *self = argument;
    Team *team = self->team;
    while (!atomic_load(&team->ended)) {
        take_parts(team, self->number);
        for (int look = 0; look < LOOKS && has_nothing_to_do(team); look++)
            pause_briefly();
        if (!has_nothing_to_do(team))
            continue;
        pthread_mutex_lock(&team->mutex);
        atomic_fetch_add(&team->sleepers, 1);
        while (has_nothing_to_do(team))
            pthread_cond_wait(&team->work_came, &team->mutex);
        atomic_fetch_sub(&team->sleepers, 1);
        pthread_mutex_unlock(&team->mutex);
    }
    return NULL;
}

static void wake(Team *team)
{
    if (atomic_load(&team->sleepers) == 0)
        return;
    pthread_mutex_lock(&team->mutex);
    pthread_cond_broadcast(&team->work_came);
    pthread_mutex_unlock(&team->mutex);
}

/* As many members as can be made, all of which leave signals to the caller. */
static void make_members(Team *team, size_t wanted)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return;
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; team->size < wanted; team->size++) {
        struct Member *member = &team->members[team->size];
        member->team = team;
        member->number = team->size;
        if (pthread_create(&member->thread, &attributes, member_main, member) != 0)
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

Team *team_start(size_t threads)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    Team *team;
    if (processors >= 1 && threads > (size_t)processors)
        threads = (size_t)processors;
    if (threads > MOST_THREADS)
        threads = MOST_THREADS;
    if (threads < 2 || (team = calloc(1, sizeof *team)) == NULL)
        return NULL;
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->work_came, NULL);
    pthread_cond_init(&team->work_done, NULL);
    team->size = 1;
    make_members(team, threads);
    if (team->size > 1)
        return team;
    team_end(team);
    return NULL;
}

void team_end(Team *team)
{
    if (team == NULL)
        return;
    atomic_store(&team->ended, 1);
    wake(team);
    for (size_t i = 1; i < team->size; i++)
        pthread_join(team->members[i].thread, NULL);
    pthread_cond_destroy(&team->work_done);
    pthread_cond_destroy(&team->work_came);
    pthread_mutex_destroy(&team->mutex);
    free(team);
}

static void share(Team *team, size_t parts, TeamPart run, void *job)
{
    team->run = run;
    team->job = job;
    atomic_store(&team->unfinished, parts);
    atomic_store(&team->left, parts);
    wake(team);
    take_parts(team, 0);
    for (int look = 0; look < LOOKS && atomic_load(&team->unfinished) > 0; look++)
        pause_briefly();
    if (atomic_load(&team->unfinished) == 0)
        return;
    pthread_mutex_lock(&team->mutex);
    atomic_store(&team->caller_sleeps, 1);
    while (atomic_load(&team->unfinished) > 0)
        pthread_cond_wait(&team->work_done, &team->mutex);
    atomic_store(&team->caller_sleeps, 0);
    pthread_mutex_unlock(&team->mutex);
}

size_t team_size(const Team *team) { return team != NULL ? team->size : 1; }
#else
Team *team_start(size_t threads) { return (void)threads, NULL; }
void team_end(Team *team) { (void)team; }
size_t team_size(const Team *team) { return (void)team, 1; }
static void share(Team *team, size_t parts, TeamPart run, void *job) { (void)team, (void)parts, (void)run, (void)job; }
#endif

void team_run(Team *team, size_t parts, TeamPart run, void *job)
{
    if (team != NULL && parts > 1) {
        share(team, parts, run, job);
        return;
    }
    for (size_t part = 0; part < parts; part++)
        run(job, part, 0);
}
