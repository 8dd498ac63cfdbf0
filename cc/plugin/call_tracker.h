// Which of TensorFlow's calls for one graph this pass acts on.
//
// TensorFlow's meta-optimizer runs its whole list of optimizers twice over each
// graph, ours last. What we did in the first round its own passes would look at
// again in the second: fuse what we took apart, merge what we cloned. So the
// second call is the one to act on. There may be only one, though
// (RewriterConfig.meta_optimizer_iterations = ONE), and nothing says so
// beforehand; so when a function is done and its graph came only once, the
// first call is acted on from then on, until a graph comes twice again.
#ifndef GRAPPLER_GO_PLUGIN_CALL_TRACKER_H_
#define GRAPPLER_GO_PLUGIN_CALL_TRACKER_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

namespace grappler_go {

// What TensorFlow keeps for us for one function, from create_func to
// destroy_func. Functions of its library may come through the same one.
class CallTracker {
 public:
  CallTracker() = default;
  CallTracker(const CallTracker&) = delete;
  CallTracker& operator=(const CallTracker&) = delete;
  ~CallTracker();

  // Counts a call for the graph that is named by the address of TensorFlow's
  // item and a hash of its fetches. True: act on this one.
  // `tiny`: that this graph comes once says nothing, since TensorFlow stops
  // early with what its own passes left only a few nodes of.
  bool ShouldAct(const void* item, uint64_t fetches, bool tiny);

 private:
  struct Graph {
    int calls = 0;
    bool acted = false;
    bool tiny = false;
  };
  std::mutex mutex_;
  std::map<std::pair<const void*, uint64_t>, Graph> graphs_;
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_CALL_TRACKER_H_
