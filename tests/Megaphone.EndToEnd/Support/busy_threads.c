// Preloaded into a process, this makes threads all the time, as any part of it may now and then, and ends it where one cannot be made, as .NET's
// runtime does.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAKERS 3

static void *nothing(void *unused) { return unused; }

static void *make(void *unused) {
  for (pthread_t made;;) {
    int error = pthread_create(&made, 0, nothing, 0);
    if (error) {
      fprintf(stderr, "no thread could be made: %s\n", strerror(error));
      _exit(1);
    }
    pthread_join(made, 0);
  }
  return unused;
}

__attribute__((constructor)) static void begin(void) {
  // Not into what executes the process, like env(1).
  if (strcmp(program_invocation_short_name, "megaphone") != 0) return;

  // Signals are for those threads that the process knows of.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int i = 0; i < MAKERS; i++) {
    pthread_t maker;
    pthread_create(&maker, 0, make, 0);
  }
  pthread_sigmask(SIG_SETMASK, &before, 0);
}
