#include "cc/plan/policy_features.h"

#include <memory>
#include <string>

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace grappler_go {
namespace {

constexpr char kCpu[] = "/job:localhost/replica:0/task:0/device:CPU:0";
constexpr char kGpu0[] = "/job:localhost/replica:0/task:0/device:GPU:0";
constexpr char kGpu1[] = "/job:localhost/replica:0/task:0/device:GPU:1";

Machine HostAndGpus() {
  Machine machine;
  machine.devices = {{kGpu0, "GPU"}, {kGpu1, "GPU"}, {kCpu, "CPU"}};
  return machine;
}

class PolicyFeaturesTest : public ::testing::Test {
 protected:
  PolicyFeaturesTest()
      : bytes_(
            GraphBuilder()
                .Arg("x", {4, 4})
                .Node("a", "Relu", {"x"}, {{"T", TypeAttrValue(kFloat)}}, kGpu0)
                .Node("b", "Tanh", {"a"},
                      {{"T", TypeAttrValue(kFloat)},
                       {"_class", StringListAttr({"loc:@a"})}},
                      kGpu0)
                .Retval("out", "b")
                .Build()),
        graph_(OpGraph::Parse(bytes_, {})) {}

  std::vector<float> Allowed(const Features& features, const char* op) {
    const size_t row = graph_->find(op) * 3;
    return {features.allowed.begin() + row, features.allowed.begin() + row + 3};
  }

  std::string bytes_;
  StatusOr<OpGraph> graph_;
};

TEST_F(PolicyFeaturesTest, NameTheFirstOpOfAUnit) {
  const Features features = PolicyFeatures(*graph_, HostAndGpus(), {});
  EXPECT_EQ(features.unit[graph_->find("b")], graph_->find("a"));
  EXPECT_EQ(features.unit[graph_->find("a")], graph_->find("a"));
}

TEST_F(PolicyFeaturesTest, AllowDevicesOfTheOpsTypeToAllOpsOfAUnit) {
  const Features features = PolicyFeatures(*graph_, HostAndGpus(), {});
  const std::vector<float> gpus = {1, 1, 0};
  EXPECT_EQ(Allowed(features, "a"), gpus);
  EXPECT_EQ(Allowed(features, "b"), gpus);
}

TEST_F(PolicyFeaturesTest, AskForKernelsAsPlansDo) {
  PlanOptions options;
  options.has_kernel = [](std::string_view op, std::string_view type) {
    return type == "GPU" || op == "Relu";
  };
  const Features features =
      PolicyFeatures(*graph_, HostAndGpus(), PlacementRulesOf(options));
  EXPECT_EQ(Allowed(features, "b"), (std::vector<float>{1, 1, 0}))
      << "Tanh, of the same unit as Relu, has no kernel there";
  options.has_kernel = [](std::string_view, std::string_view) { return true; };
  EXPECT_EQ(
      Allowed(PolicyFeatures(*graph_, HostAndGpus(), PlacementRulesOf(options)),
              "b"),
      (std::vector<float>{1, 1, 1}));
}

TEST_F(PolicyFeaturesTest, AllowWhatIsNowhereTheFirstDevice) {
  const Features features = PolicyFeatures(*graph_, HostAndGpus(), {});
  EXPECT_EQ(Allowed(features, "x"), (std::vector<float>{1, 0, 0}));
}

TEST_F(PolicyFeaturesTest, KeepAcceleratorsAloneWithFreeState) {
  PlanOptions options;
  options.free_state = true;
  const Features features =
      PolicyFeatures(*graph_, HostAndGpus(), PlacementRulesOf(options));
  EXPECT_EQ(Allowed(features, "a"), (std::vector<float>{1, 1, 0}));
  Machine cpus;
  cpus.devices = {{kCpu, "CPU"}};
  EXPECT_EQ(PolicyFeatures(*graph_, cpus, PlacementRulesOf(options)).allowed,
            std::vector<float>(graph_->num_ops(), 1.0f));
}

TEST_F(PolicyFeaturesTest, TakeAMachineWithoutDevices) {
  const Features features = PolicyFeatures(*graph_, Machine(), {});
  EXPECT_TRUE(features.allowed.empty());
  EXPECT_EQ(features.unit.size(), static_cast<size_t>(graph_->num_ops()));
}

}  // namespace
}  // namespace grappler_go
