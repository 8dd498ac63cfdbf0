// What malloc does with large blocks that are freed.
//
// TensorFlow's CPU allocator is malloc. glibc's gives large blocks back to the
// system when they are freed, and the next step faults them in again, page by
// page. What XLA compiled needs its temporaries and results anew in each step,
// in blocks of tens of megabytes: on a virtual machine the page faults took all
// that compiling had gained (docs/benchmarks.md, "Freed memory").
#ifndef GRAPPLER_GO_PLUGIN_FREED_MEMORY_H_
#define GRAPPLER_GO_PLUGIN_FREED_MEMORY_H_

namespace grappler_go {

// true: freed blocks of up to 1 GiB stay in the process, at most 2 GiB at the
// end of the heap. On up to 8 cores, threads that start from now on share the
// heaps that there are, one most often: those of threads are of 64 MB at most,
// and a block that does not fit in is mapped anew after all. false: after true,
// what glibc's own adaptation (mallopt(3), M_MMAP_THRESHOLD) may come to at
// most, and what is free now is given back; otherwise nothing happens. Another
// malloc than glibc's is left as it is. Thread safe; quick where nothing
// changes.
void KeepFreedMemory(bool keep);

// What KeepFreedMemory() was last asked for; false where glibc's malloc would
// not have it.
bool KeepsFreedMemory();

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_FREED_MEMORY_H_
