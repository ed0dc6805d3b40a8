package main

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>

// By itself glibc has an arena for each thread, up to eight for each processor: what librdkafka frees in one is not there for
// a record that is made in another, which is 30 MB where rows come fast. Once there are threads there are arenas, so this is
// done before Go begins.
__attribute__((constructor)) static void share_arenas(void) {
  if (!getenv("MALLOC_ARENA_MAX"))
    (void)mallopt(M_ARENA_MAX, 2);
}
#endif
*/
import "C"
