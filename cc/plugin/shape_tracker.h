// Which graphs are one function, traced for one set of shapes after another.
//
// A function that is called with other shapes each time is traced anew by
// TensorFlow for each, and what we group in it is compiled anew. For a few
// shapes that pays; a program whose shapes never come back would do nothing
// but compile.
#ifndef GRAPPLER_GO_PLUGIN_SHAPE_TRACKER_H_
#define GRAPPLER_GO_PLUGIN_SHAPE_TRACKER_H_

#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "cc/graph/op_graph.h"

namespace grappler_go {

// What graphs of one function have in common: the types and names of their ops,
// each once, without the numbers that TensorFlow makes names unique with. A
// loop unrolled more often is still the same function.
uint64_t FunctionKey(const OpGraph& graph);

// Thread safe.
class ShapeTracker {
 public:
  // How many different graphs of its function came before this one first did.
  // The least recently seen functions are forgotten.
  int32_t CountBefore(const OpGraph& graph);

 private:
  struct Function {
    uint64_t key;
    std::unordered_map<std::string, int32_t> number_of;  // by fingerprint
  };
  std::mutex mutex_;
  std::list<Function> functions_;  // most recently seen first
  std::unordered_map<uint64_t, std::list<Function>::iterator> by_key_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_SHAPE_TRACKER_H_
