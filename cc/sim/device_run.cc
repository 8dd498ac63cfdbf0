#include "cc/sim/device_run.h"

#include <algorithm>

namespace grappler_go {

void DeviceRun::TakeFinished(double now, std::vector<RunningTask>* finished) {
  const auto still = [&](const RunningTask& r) { return r.finish > now; };
  for (const RunningTask& r : running_) {
    if (still(r)) continue;
    if (r.task == kOverhead) {
      --overheads_;
    } else {
      finished->push_back(r);
    }
  }
  running_.erase(
      std::remove_if(running_.begin(), running_.end(),
                     [&](const RunningTask& r) { return !still(r); }),
      running_.end());
}

double DeviceRun::Share(double now, DeviceUse* use) {
  if (cores_in_use_ > 0) {
    use->busy_micros += now - last_change_;
    use->core_micros += (now - last_change_) * cores_in_use_;
  }
  last_change_ = now;
  double cores = 0, bandwidth = 0;
  for (const RunningTask& r : running_) {
    cores += r.cores;
    bandwidth += r.bandwidth;
  }
  cores_in_use_ = std::min<double>(cores, cores_);
  // A task alone runs at its own speed, whatever it wants.
  const double rate = running_.size() > 1 ? std::min(1.0, cores_ / cores) : 1.0;
  rates_.assign(running_.size(), rate);
  if (running_.size() > 1 && bandwidth * rate > 1.0) ShareBandwidth(rate);

  double next = kNever;
  for (size_t k = 0; k < running_.size(); ++k) {
    RunningTask& r = running_[k];
    // Left as it is where nothing changes: no rounding errors add up.
    if (rates_[k] != r.rate) {
      r.left = std::max(0.0, r.left - (now - r.since) * r.rate);
      r.since = now;
      r.rate = rates_[k];
      r.finish = now + r.left / r.rate;
    }
    next = std::min(next, r.finish);
  }
  return next;
}

// Equal shares, of which nobody takes more than he needs: what is left over
// goes to the others, in rounds, until a round satisfies nobody more.
void DeviceRun::ShareBandwidth(double rate) {
  auto hungry = running_.size();
  double share = 1.0 / static_cast<double>(hungry);
  for (;;) {
    double left = 1.0;
    size_t still_hungry = 0;
    for (const RunningTask& r : running_) {
      const double wants = r.bandwidth * rate;
      if (wants <= share) {
        left -= wants;
      } else {
        ++still_hungry;
      }
    }
    if (still_hungry == hungry || still_hungry == 0) break;
    hungry = still_hungry;
    share = left / static_cast<double>(hungry);
  }
  for (size_t k = 0; k < running_.size(); ++k) {
    const double wants = running_[k].bandwidth * rate;
    if (wants > share) rates_[k] = rate * share / wants;
  }
}

}  // namespace grappler_go
