#include "cc/plan/search_refine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "cc/graph/fingerprint.h"
#include "cc/plan/search_starts.h"
#include "cc/plan/search_timed_cut.h"

namespace grappler_go {
namespace {

constexpr size_t kElite = 8;
// A worse state is gone on from with a probability of 1/e when it is worse by
// this share, at the start and at the end of the budget.
constexpr double kHot = 0.01, kCold = 0.0003;

const char* NameOf(SearchMove move) {
  switch (move) {
    case SearchMove::kTransfer:
      return "move of a transfer";
    case SearchMove::kQueue:
      return "move off a queue";
    case SearchMove::kRun:
      return "move of neighbours";
    case SearchMove::kCross:
      return "crossing";
    case SearchMove::kPolicy:
      return "policy's move";
    case SearchMove::kRecut:
      return "annealed cut";
    case SearchMove::kTimedCut:
      return "timed cut";
    case SearchMove::kRules:
      return "other rules";
    case SearchMove::kNumMoves:
      break;
  }
  return "";
}

}  // namespace

bool Refinement::HasRules() const {
  return !space_.fuses.empty() || (space_.free_state() && schedule_);
}

bool Refinement::IsNew(const SearchState& state) {
  uint64_t hash = HashMix(static_cast<uint64_t>(state.fusion),
                          static_cast<uint64_t>(state.priority));
  hash = HashMix(hash,
                 state.memory == nullptr
                     ? 0
                     : static_cast<uint64_t>(state.memory->num_recomputed()));
  if (state.other_fusion != nullptr) {
    for (uint8_t bit : *state.other_fusion) hash = HashMix(hash, bit);
  }
  for (int32_t d : state.device) hash = HashMix(hash, static_cast<uint64_t>(d));
  return seen_.insert(hash).second;
}

void Refinement::Add(Judged judged) {
  const auto at = std::upper_bound(
      elite_.begin(), elite_.end(), judged,
      [](const Judged& a, const Judged& b) { return a.score < b.score; });
  const bool is_best = at == elite_.begin();
  if (!is_best) {
    // As large as the graph, and looked at of the best only.
    judged.simulation.tasks = {};
    judged.simulation.transfers = {};
    judged.group = {};
  }
  elite_.insert(at, std::move(judged));
  if (elite_.size() > kElite) elite_.pop_back();
  if (is_best) SetCurrent(elite_.front());
}

void Refinement::SetCurrent(const Judged& judged) {
  current_ = judged.state;
  current_score_ = judged.score;
  busy_.clear();
  for (const DeviceUse& use : judged.simulation.devices) {
    busy_.push_back(use.busy_micros);
  }
  std::vector<int32_t> device = space_.stands;
  for (size_t i = 0; i < device.size(); ++i) {
    const int32_t unit = space_.unit_of[i];
    if (!space_.pinned[unit]) device[i] = current_.device[unit];
  }
  timeline_ =
      ReadTimeline(*space_.graph, judged.group, device, judged.simulation);
}

std::vector<SearchState> Refinement::Propose(int32_t count, double progress) {
  std::vector<SearchState> states;
  proposed_.clear();
  if (improved_.size() > 1) {
    // Moves that helped one by one, together.
    SearchState all = current_;
    all.maker = "moves together";
    for (const SearchState& other : improved_) {
      for (size_t u = 0; u < all.device.size(); ++u) {
        if (other.device[u] != base_.device[u]) {
          all.device[u] = other.device[u];
        }
      }
    }
    if (IsNew(all)) {
      states.push_back(std::move(all));
      proposed_.push_back({SearchMove::kNumMoves, -1});
    }
  }
  improved_.clear();
  constexpr int kTries = 16;  // for one that is new
  for (int k = 0; k < kTries && static_cast<int32_t>(states.size()) < count;
       ++k) {
    const SearchMove move = DrawMove(progress);
    SearchState state = Neighbour(move, progress);
    if (!IsNew(state)) continue;
    k = 0;
    state.maker = NameOf(move);
    proposed_.push_back(drawn_);
    states.push_back(std::move(state));
  }
  return states;
}

void Refinement::Learn(std::vector<Judged> judged, double progress) {
  const SearchScore before = current_score_;
  base_ = current_;
  const double temperature =
      before.micros * kHot * std::pow(kCold / kHot, progress);
  int32_t chosen = -1;
  for (size_t k = 0; k < judged.size(); ++k) {
    const bool helped = judged[k].score < before;
    if (proposed_[k].move != SearchMove::kNumMoves) {
      const auto move = static_cast<size_t>(proposed_[k].move);
      records_[move].Add(helped);
      const int32_t level = proposed_[k].level;
      if (level >= 0) level_records_[move][level].Add(helped);
    }
    if (helped) improved_.push_back(judged[k].state);
    if (chosen < 0 || judged[k].score < judged[chosen].score) {
      chosen = static_cast<int32_t>(k);
    }
  }
  if (chosen < 0) return;
  const SearchScore& score = judged[chosen].score;
  const double worse = score.micros - before.micros;
  const bool accept =
      score < before ||
      (score.excess_bytes <= before.excess_bytes &&
       random_.Uniform() < std::exp(-worse / std::max(temperature, 1e-9)));
  // The best of all becomes the current one below.
  if (accept && !(score < elite_.front().score)) SetCurrent(judged[chosen]);
  for (Judged& one : judged) Add(std::move(one));
  // Far from the best for long is far too long.
  if (current_score_.micros > elite_.front().score.micros * (1 + kHot)) {
    SetCurrent(elite_.front());
    improved_.clear();
  }
}

SearchMove Refinement::DrawMove(double progress) {
  auto may = [&](SearchMove move) {
    switch (move) {
      case SearchMove::kRules:
        return HasRules();
      case SearchMove::kPolicy:
        return asks_policy_ && !space_.movable.empty() && !space_.score.empty();
      case SearchMove::kCross:
        return !space_.movable.empty() && elite_.size() > 1;
      default:
        return !space_.movable.empty();
    }
  };
  std::array<double, static_cast<size_t>(SearchMove::kNumMoves)> weight{};
  double sum = 0;
  for (size_t m = 0; m < weight.size(); ++m) {
    if (!may(static_cast<SearchMove>(m))) continue;
    weight[m] = records_[m].weight();
    if (static_cast<SearchMove>(m) == SearchMove::kRules) weight[m] *= 0.3;
    if (static_cast<SearchMove>(m) == SearchMove::kRun)
      weight[m] *= 1.2 - progress;
    sum += weight[m];
  }
  double draw = random_.Uniform() * sum;
  for (size_t m = 0; m < weight.size(); ++m) {
    draw -= weight[m];
    if (draw < 0) return static_cast<SearchMove>(m);
  }
  return space_.movable.empty() ? SearchMove::kRules : SearchMove::kRun;
}

SearchState Refinement::Neighbour(SearchMove move, double progress) {
  SearchState state = current_;
  drawn_ = {move, -1};
  switch (move) {
    case SearchMove::kTransfer:
      MoveTransfer(&state);
      break;
    case SearchMove::kQueue:
      MoveOffQueue(&state);
      break;
    case SearchMove::kRun:
      MoveRun(&state, progress);
      break;
    case SearchMove::kCross:
      Cross(&state);
      break;
    case SearchMove::kPolicy:
      MoveAsPolicy(&state);
      break;
    case SearchMove::kRecut:
      Recut(&state);
      break;
    case SearchMove::kTimedCut:
      TimedCut(&state);
      break;
    case SearchMove::kRules:
      ChangeRules(&state);
      break;
    case SearchMove::kNumMoves:
      break;
  }
  return state;
}

const Clusters& Refinement::DrawLevel() {
  std::vector<Record>& records =
      level_records_[static_cast<size_t>(drawn_.move)];
  records.resize(levels_.size());
  double sum = 0;
  for (const Record& record : records) sum += record.weight();
  double draw = random_.Uniform() * sum;
  size_t level = 0;
  while (level + 1 < levels_.size() && (draw -= records[level].weight()) >= 0) {
    ++level;
  }
  drawn_.level = static_cast<int32_t>(level);
  return levels_[level];
}

// In proportion to what is waited; null where nothing of the kind is.
const CriticalWait* Refinement::DrawWait(CriticalWait::Kind kind) {
  double sum = 0;
  for (const CriticalWait& w : timeline_.critical_path) {
    if (w.kind == kind) sum += w.micros;
  }
  double draw = random_.Uniform() * sum;
  for (const CriticalWait& w : timeline_.critical_path) {
    if (w.kind != kind) continue;
    draw -= w.micros;
    if (draw < 0) return &w;
  }
  return nullptr;
}

void Refinement::MoveCluster(const Clusters& level, int32_t cluster,
                             int32_t device, SearchState* state) {
  for (int32_t u : level.units[cluster]) {
    if (space_.choices[u].size() > 1 && space_.MayBeOn(u, device)) {
      state->device[u] = device;
    }
  }
}

void Refinement::MoveTransfer(SearchState* state) {
  const CriticalWait* wait = DrawWait(CriticalWait::kTransfer);
  if (wait == nullptr) return MoveOffQueue(state);
  const Clusters& level = DrawLevel();
  const int32_t reader = space_.unit_of[wait->op];
  const int32_t maker = space_.unit_of[wait->maker];
  if (random_.Uniform() < 0.5) {
    MoveCluster(level, level.of_unit[reader], state->device[maker], state);
  } else {
    MoveCluster(level, level.of_unit[maker], state->device[reader], state);
  }
}

int32_t Refinement::DrawDevice(const SearchState& state, int32_t unit,
                               bool asks_policy) {
  const Span<int32_t> choices = space_.choices[unit];
  std::vector<double> weight;
  double sum = 0;
  double most_busy = 1e-9;
  for (double b : busy_) most_busy = std::max(most_busy, b);
  for (int32_t d : choices) {
    double w = 0;
    if (d != state.device[unit]) {
      w = 1.1 - busy_[d] / most_busy;
      if (asks_policy) {
        // Not more than this: what the policy rules out may still be right.
        const float* row = space_.score.data() +
                           static_cast<size_t>(unit) * space_.num_devices;
        w *= std::exp(
            std::clamp<double>(row[d] - row[state.device[unit]], -4.0, 4.0));
      }
    }
    weight.push_back(w);
    sum += w;
  }
  double draw = random_.Uniform() * sum;
  for (size_t k = 0; k < choices.size(); ++k) {
    draw -= weight[k];
    if (draw < 0) return choices[k];
  }
  return state.device[unit];
}

// What runs while the critical path waits, or what it is made of, goes
// elsewhere.
void Refinement::MoveOffQueue(SearchState* state) {
  const CriticalWait* wait = DrawWait(CriticalWait::kQueue);
  int32_t op = -1;
  if (wait != nullptr) {
    op = random_.Uniform() < 0.7 ? wait->maker : wait->op;
  } else {
    wait = DrawWait(CriticalWait::kCompute);
    if (wait == nullptr) return;
    op = wait->op;
  }
  const int32_t unit = space_.unit_of[op];
  const Clusters& level = DrawLevel();
  MoveCluster(level, level.of_unit[unit],
              DrawDevice(*state, unit, MayAskPolicy()), state);
}

void Refinement::MoveRun(SearchState* state, double progress) {
  const Clusters& level = DrawLevel();
  std::vector<int32_t> order;
  for (int32_t c = 0; c < level.count; ++c) {
    if (space_.choices[level.units[c][0]].size() > 1 &&
        level.micros[static_cast<size_t>(c) * space_.num_devices] > 0) {
      order.push_back(c);
    }
  }
  if (order.empty()) return;
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return level.depth[a] < level.depth[b];
  });
  const auto count = static_cast<int32_t>(order.size());
  const double longest = std::pow(std::max(1.0, count / 4.0), 1.0 - progress);
  const int32_t length = 1 + random_.Below(static_cast<int32_t>(longest));
  const int32_t start = random_.Below(count - length + 1);
  const int32_t device =
      DrawDevice(*state, level.units[order[start]][0], MayAskPolicy());
  for (int32_t k = start; k < start + length; ++k) {
    MoveCluster(level, order[k], device, state);
  }
}

void Refinement::Cross(SearchState* state) {
  const auto others = static_cast<int32_t>(elite_.size());
  const SearchState& other = elite_[random_.Below(others)].state;
  const Clusters& level = DrawLevel();
  float low = 0, high = 0;
  for (float d : level.depth) high = std::max(high, d);
  const double width = high * (0.05 + 0.45 * random_.Uniform());
  low = static_cast<float>(random_.Uniform() * (high - width));
  high = static_cast<float>(low + width);
  for (int32_t u : space_.movable) {
    const float depth = level.depth[level.of_unit[u]];
    if (depth >= low && depth <= high) state->device[u] = other.device[u];
  }
}

void Refinement::MoveAsPolicy(SearchState* state) {
  const Clusters& level = DrawLevel();
  const auto count = static_cast<int32_t>(space_.movable.size());
  const int32_t unit = space_.movable[random_.Below(count)];
  MoveCluster(level, level.of_unit[unit], DrawDevice(*state, unit, true),
              state);
}

void Refinement::Recut(SearchState* state) {
  const Clusters& level = DrawLevel();
  AnnealOptions options;
  options.cut_weight = std::exp((random_.Uniform() - 0.5) * 4.0);
  options.start_temperature = std::exp(-4.0 - 5.0 * random_.Uniform());
  options.steps_per_cluster = 20;
  if (MayAskPolicy()) {
    options.policy_weight = std::exp(-3.0 + 3.0 * random_.Uniform());
  }
  const UnitDevices cut =
      AnnealCut(space_, level, devices_, state->device, options, &random_);
  state->device = cut;
}

// What the estimate of a cut cannot know, the timeline of a plan near it can:
// that nothing waits for a tensor, or that devices are idle where others have
// much to do.
void Refinement::TimedCut(SearchState* state) {
  const Clusters& level = DrawLevel();
  constexpr int32_t kWindows[] = {4, 8, 16, 32};
  const Windows windows = WindowsInTime(
      space_, timeline_.ops,
      kWindows[random_.Below(static_cast<int32_t>(std::size(kWindows)))]);
  const Clusters timed = WithTensorMicros(
      space_, levels_.back(), level,
      CriticalTensorMicros(space_, levels_.back().tensor_micros,
                           timeline_.ops));
  AnnealOptions options;
  options.cut_weight = std::exp((random_.Uniform() - 0.5) * 4.0);
  options.start_temperature = std::exp(-4.0 - 5.0 * random_.Uniform());
  options.steps_per_cluster = 20;
  options.own_windows = &windows;
  state->device =
      AnnealCut(space_, timed, devices_, state->device, options, &random_);
}

void Refinement::ChangeRules(SearchState* state) {
  const bool both = !space_.fuses.empty() && space_.free_state() && schedule_;
  const bool fusion = both ? random_.Uniform() < 0.8 : !space_.fuses.empty();
  if (!fusion) {
    const int32_t count = space_.logits->schedule.empty() ? 2 : 3;
    state->priority = static_cast<Priority>(random_.Below(count));
    return;
  }
  const CriticalWait* wait = DrawWait(CriticalWait::kCompute);
  if (state->fusion == FusionRule::kNone || wait == nullptr ||
      random_.Uniform() < 0.1) {
    constexpr FusionRule kRules[] = {FusionRule::kNone, FusionRule::kChains,
                                     FusionRule::kLevels, FusionRule::kPolicy};
    state->fusion = kRules[random_.Below(space_.policy_fuses.empty() ? 3 : 4)];
    return;
  }
  // Groups around something on the critical path are split, or merged.
  std::vector<uint8_t> other = state->other_fusion != nullptr
                                   ? *state->other_fusion
                                   : std::vector<uint8_t>(space_.num_units, 0);
  const Clusters& level = DrawLevel();
  const int32_t unit = space_.unit_of[wait->op];
  const uint8_t bit = other[unit] ^ 1;
  for (int32_t u : level.units[level.of_unit[unit]]) other[u] = bit;
  state->other_fusion =
      std::make_shared<const std::vector<uint8_t>>(std::move(other));
}

}  // namespace grappler_go
