// Preloaded into a process, this stretches its end: what a thread frees as it ends comes 20 ms late, and the process itself ends 200 ms
// after its exit handlers have run. A handler that frees what threads still use is found every time, instead of once in some thousand.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

// A destructor is only given the value of its key, so each that is delayed needs a function of its own.
#define DELAYED(number) static void delayed##number(void *value) { usleep(20000); destructors[number](value); }
#define MAX_DELAYED 8

static void (*destructors[MAX_DELAYED])(void *);

DELAYED(0) DELAYED(1) DELAYED(2) DELAYED(3) DELAYED(4) DELAYED(5) DELAYED(6) DELAYED(7)

static void (*const delayed[MAX_DELAYED])(void *) = {delayed0, delayed1, delayed2, delayed3, delayed4, delayed5, delayed6, delayed7};
static int next;

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) {
  int (*create)(pthread_key_t *, void (*)(void *)) = dlsym(RTLD_NEXT, "pthread_key_create");
  int number = destructor ? __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) : MAX_DELAYED;
  if (number >= MAX_DELAYED) return create(key, destructor);
  destructors[number] = destructor;
  return create(key, delayed[number]);
}

static void wait_longer(void) { usleep(200000); }

// Handlers run in the order opposite to that in which they came: this one last.
__attribute__((constructor)) static void begin(void) { atexit(wait_longer); }
