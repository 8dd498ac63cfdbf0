// Local search around the best plans found so far, judged by the simulator.
#ifndef GRAPPLER_GO_PLAN_SEARCH_REFINE_H_
#define GRAPPLER_GO_PLAN_SEARCH_REFINE_H_

#include <array>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "cc/plan/search_clusters.h"
#include "cc/plan/search_judge.h"
#include "cc/plan/search_space.h"
#include "cc/plan/search_timeline.h"

namespace grappler_go {

// What a state's neighbours differ in. Which kind of move is tried is drawn in
// proportion to how often it has helped so far.
enum class SearchMove : uint8_t {
  kTransfer,  // a cluster to the other end of a transfer on the critical path
  kQueue,     // one off a device for which the critical path waits
  kRun,       // clusters of neighbouring depths to one device
  kCross,     // the devices of a range of depths from another good state
  kPolicy,    // a cluster where the policy would rather have it
  kRecut,     // AnnealCut from here, at a low temperature
  kTimedCut,  // the same, told when each op ran and what nothing waited for
  kRules,     // other groups or priorities
  kNumMoves,
};

class Refinement {
 public:
  // `levels`: from coarse to fine. Everything must outlive the refinement.
  Refinement(const SearchSpace& space, const std::vector<Clusters>& levels,
             const std::vector<int32_t>& devices, bool schedule, uint64_t seed)
      : space_(space),
        levels_(levels),
        devices_(devices),
        schedule_(schedule),
        random_(seed) {}

  // Not asked about before: what was simulated once need not be again.
  bool IsNew(const SearchState& state);
  // A state that may be gone on from: the best of all, some of the others.
  void Add(Judged judged);
  const Judged& best() const { return elite_.front(); }
  // Whether the policy's scores are looked at, where there are some.
  void AskPolicy(bool asks) { asks_policy_ = asks; }
  bool can_move() const { return !space_.movable.empty() || HasRules(); }

  // So many neighbours, to be simulated, or fewer where no more new ones are
  // found; `progress` in [0, 1] is the share of
  // the budget that is spent.
  std::vector<SearchState> Propose(int32_t count, double progress);
  // What came of them, in their order.
  void Learn(std::vector<Judged> judged, double progress);

 private:
  // How often something helped. What was tried long ago says little of now.
  struct Record {
    double tried = 1, helped = 1;

    double weight() const { return 0.05 + helped / tried; }
    void Add(bool has_helped) {
      tried = 0.97 * tried + 1;
      helped = 0.97 * helped + (has_helped ? 1 : 0);
    }
  };
  struct Proposed {
    SearchMove move;  // kNumMoves: several together
    int32_t level;    // of levels_, or -1
  };

  bool HasRules() const;
  void SetCurrent(const Judged& judged);
  SearchMove DrawMove(double progress);
  SearchState Neighbour(SearchMove move, double progress);
  void MoveTransfer(SearchState* state);
  void MoveOffQueue(SearchState* state);
  void MoveRun(SearchState* state, double progress);
  void Cross(SearchState* state);
  void MoveAsPolicy(SearchState* state);
  void Recut(SearchState* state);
  void TimedCut(SearchState* state);
  void ChangeRules(SearchState* state);
  // One on which moves of the kind that is being made have helped.
  const Clusters& DrawLevel();
  const CriticalWait* DrawWait(CriticalWait::Kind kind);
  void MoveCluster(const Clusters& level, int32_t cluster, int32_t device,
                   SearchState* state);
  // Every other time, so that a policy that is wrong cannot stand in the way.
  bool MayAskPolicy() {
    return asks_policy_ && !space_.score.empty() && random_.Uniform() < 0.5;
  }
  // Of a unit's choices, other than where it is: away from devices with much
  // to do, and by the policy if it is asked.
  int32_t DrawDevice(const SearchState& state, int32_t unit, bool asks_policy);

  const SearchSpace& space_;
  const std::vector<Clusters>& levels_;
  const std::vector<int32_t> devices_;
  const bool schedule_;
  SearchRandom random_;
  bool asks_policy_ = true;
  std::unordered_set<uint64_t> seen_;  // hashes of states
  std::vector<Judged> elite_;          // best first
  SearchState current_;
  SearchScore current_score_;
  std::vector<double> busy_;  // by device, in the current state
  TimelineFacts timeline_;    // of the current state
  std::vector<Proposed> proposed_;
  // Of one batch those that helped, to be tried together, and what they are
  // neighbours of.
  std::vector<SearchState> improved_;
  SearchState base_;
  static constexpr auto kKinds = static_cast<size_t>(SearchMove::kNumMoves);
  std::array<Record, kKinds> records_{};
  std::array<std::vector<Record>, kKinds> level_records_;  // by level
  Proposed drawn_{};  // of the move that is being made
};

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLAN_SEARCH_REFINE_H_
