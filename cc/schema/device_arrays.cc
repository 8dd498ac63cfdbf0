#include "cc/schema/device_arrays.h"

#include <cmath>

#include "cc/cost/calibration.h"
#include "cc/cost/op_cost.h"

namespace grappler_go {
namespace {

float Log2(double value) {
  return value <= 0 ? 0.0f : std::log2(1.0f + static_cast<float>(value));
}

float Flag(bool value) { return value ? 1.0f : 0.0f; }

double MicrosOn(const Device& device, const OpGraph& graph, int32_t op,
                const OpCost& cost) {
  const OpClass op_class = graph.def(op).op_class;
  if (device.calibration != nullptr && !IsFree(op_class)) {
    const TimedCost* const timed = device.calibration->Find(graph, op);
    if (timed != nullptr) return MicrosOf(timed->executor, cost);
  }
  return RooflineMicros(cost, op_class, device);
}

}  // namespace

const std::vector<std::string>& DeviceFeatureNames() {
  static const std::vector<std::string>& names =
      *new std::vector<std::string>{"log2_gflops",
                                    "log2_gbytes_per_s",
                                    "log2_memory_bytes",
                                    "is_cpu",
                                    "is_gpu",
                                    "mean_log2_link_gbytes_per_s",
                                    "mean_log2_link_latency_us"};
  return names;
}

const std::vector<std::string>& LinkFeatureNames() {
  static const std::vector<std::string>& names =
      *new std::vector<std::string>{"log2_gbytes_per_s", "log2_latency_us"};
  return names;
}

void FillDeviceFeatures(const Machine& machine, Features* features) {
  for (size_t i = 0; i < machine.devices.size(); ++i) {
    const Device& device = machine.devices[i];
    double log2_bandwidth = 0, log2_latency = 0;
    int links = 0;
    for (const Link& link : machine.links) {
      if (link.src != static_cast<int32_t>(i) &&
          link.dst != static_cast<int32_t>(i)) {
        continue;
      }
      ++links;
      log2_bandwidth += Log2(link.gbytes_per_s);
      log2_latency += Log2(link.latency_us);
    }
    const double mean = links == 0 ? 0.0 : 1.0 / links;
    std::vector<float>* const out = &features->device_features;
    out->push_back(Log2(device.gflops));
    out->push_back(Log2(device.gbytes_per_s));
    out->push_back(Log2(static_cast<double>(device.memory_bytes)));
    out->push_back(Flag(device.type == "CPU"));
    out->push_back(Flag(device.type == "GPU"));
    out->push_back(static_cast<float>(log2_bandwidth * mean));
    out->push_back(static_cast<float>(log2_latency * mean));
  }
}

void FillLinkFeatures(const Machine& machine, Features* features) {
  const size_t count = machine.devices.size();
  const size_t width = LinkFeatureNames().size();
  features->link_features.assign(count * count * width, 0.0f);
  const auto fill = [&](size_t src, size_t dst, const Link& link) {
    float* const row =
        features->link_features.data() + (src * count + dst) * width;
    row[0] = Log2(link.gbytes_per_s);
    row[1] = Log2(link.latency_us);
  };
  const Link slowest = SlowestLink(machine);
  for (size_t src = 0; src < count; ++src) {
    for (size_t dst = 0; dst < count; ++dst) {
      if (src != dst) fill(src, dst, slowest);
    }
  }
  for (const Link& link : machine.links) fill(link.src, link.dst, link);
}

void FillOpDeviceMicros(const OpGraph& graph, const Machine& machine,
                        Features* features) {
  features->op_device_micros.reserve(graph.num_ops() * machine.devices.size());
  for (int32_t i = 0; i < graph.num_ops(); ++i) {
    const OpCost cost = CostOf(graph, i);
    for (const Device& device : machine.devices) {
      features->op_device_micros.push_back(
          Log2(MicrosOn(device, graph, i, cost)));
    }
  }
}

}  // namespace grappler_go
