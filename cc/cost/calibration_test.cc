#include "cc/cost/calibration.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "cc/cost/local_machine.h"
#include "cc/cost/machine.h"
#include "cc/cost/op_cost.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

Machine Timed(int32_t cores) {
  Calibration timed;
  timed.cpu = CpuModel();
  timed.cores = cores;
  timed.tensorflow = "2.21.0";
  timed.new_us_per_mb = 33.5;
  timed.cold_read_us_per_mb = 18;
  timed.group_launch_us = 9;
  timed.group_tensor_us = 3;
  timed.group_output_us_per_mb = 95;
  timed.ops["MatMul"] = {{1.5, 8.75, 0, 12}, {1, 9, 2, 0}};
  timed.classes[OpClass::kElementwise] = {{0.5, 0, 7, 2}, {0, 0, 0.25, 0}};
  Machine machine;
  machine.name = "timed";
  machine.devices.emplace_back();
  machine.devices[0].name = "/job:localhost/replica:0/task:0/device:CPU:0";
  machine.devices[0].type = "CPU";
  machine.devices[0].gflops = 123;
  machine.devices[0].calibration = std::make_shared<Calibration>(timed);
  return machine;
}

TEST(Calibration, TermsAreWorkTrafficAndWhatLeavesTheCache) {
  OpCost cost;
  cost.flops = 3e6;
  cost.bytes_read = 6e6;
  cost.bytes_written = 4e6;
  EXPECT_DOUBLE_EQ(MicrosOf({1, 10, 100, 1000}, cost),
                   1 + 3 * 10 + 10 * 100 + 2 * 1000);
  cost.bytes_read = 0;
  EXPECT_DOUBLE_EQ(MicrosOf({0, 0, 0, 1000}, cost), 0);
}

TEST(Calibration, AnOpsOwnTimingsComeBeforeItsClass) {
  Machine machine = Timed(2);
  Calibration timed = *machine.devices[0].calibration;
  timed.ops["Mul"] = {{1, 0, 0, 0}, {}};
  timed.ops["Mul:broadcast"] = {{2, 0, 0, 0}, {}};
  const std::string bytes = GraphBuilder()
                                .Arg("x", {4, 8})
                                .Arg("row", {8})
                                .Node("own", "MatMul", {"x", "row"})
                                .Node("of_class", "Neg", {"x"})
                                .Node("neither", "Conv2D", {"x", "x"})
                                .Node("kind", "Mul", {"x", "row"})
                                .Node("plain", "Mul", {"x", "x"})
                                .Build();
  const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, {});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const auto find = [&](const char* name) {
    return timed.Find(*graph, graph->find(name));
  };
  EXPECT_EQ(find("own")->executor[1], 8.75);
  EXPECT_EQ(find("of_class")->executor[2], 7);
  EXPECT_EQ(find("neither"), nullptr);
  EXPECT_EQ(find("kind")->executor[0], 2);
  EXPECT_EQ(find("plain")->executor[0], 1);
  timed.ops.erase("Mul:broadcast");
  EXPECT_EQ(find("kind")->executor[0], 1);
}

TEST(Calibration, IsReadAsItWasWritten) {
  const std::string json = MachineToJson(Timed(2));
  const StatusOr<Machine> read = MachineFromJson(json);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(MachineToJson(*read), json);
  const Calibration& timed = *read->devices[0].calibration;
  EXPECT_EQ(timed.cpu, CpuModel());
  EXPECT_EQ(timed.cores, 2);
  EXPECT_EQ(timed.tensorflow, "2.21.0");
  EXPECT_EQ(timed.new_us_per_mb, 33.5);
  EXPECT_EQ(timed.cold_read_us_per_mb, 18);
  EXPECT_EQ(timed.group_launch_us, 9);
  EXPECT_EQ(timed.group_tensor_us, 3);
  EXPECT_EQ(timed.group_output_us_per_mb, 95);
  EXPECT_EQ(timed.ops.at("MatMul").group[2], 2);
  EXPECT_EQ(timed.classes.at(OpClass::kElementwise).group[2], 0.25);
}

TEST(Calibration, WhatIsWrongIsNamed) {
  const std::string good = MachineToJson(Timed(2));
  const struct {
    const char *from, *to, *message;
  } cases[] = {
      {"\"cold_read_us_per_mb\": 18.0", "\"cold_read_us_per_mb\": -1",
       "calibration.cold_read_us_per_mb must be zero or a positive number"},
      {"\"group_tensor_us\"", "\"tensor_us\"", "unknown field \"tensor_us\""},
      {"\"elementwise\"", "\"wise\"", "unknown class of ops \"wise\""},
      {"\"cpu\": \"", "\"cpu\": 1, \"x\": \"", "unknown field \"x\""},
      {"8.75,", "-8.75,", "ops.MatMul.executor has the term -8.75"},
      {"8.75,", "", "ops.MatMul.executor must be a list of 4 numbers"},
      {"8.75,", "\"8.75\",", "ops.MatMul.executor must be a list of 4 numbers"},
      {"\"classes\"", "\"sources\"", "unknown field"},
  };
  for (const auto& c : cases) {
    std::string bad = good;
    const size_t at = bad.find(c.from);
    ASSERT_NE(at, std::string::npos) << c.from;
    bad.replace(at, std::string(c.from).size(), c.to);
    const StatusOr<Machine> read = MachineFromJson(bad);
    ASSERT_FALSE(read.ok()) << c.to;
    EXPECT_NE(read.status().message().find(c.message), std::string::npos)
        << read.status().message();
  }
}

class LocalMachineTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& text) {
    const std::string path = ::testing::TempDir() + "/machine.json";
    std::ofstream(path) << text;
    return path;
  }
};

TEST_F(LocalMachineTest, IsOfThisProcessorAndItsCores) {
  const StatusOr<Device> device =
      ReadLocalDevice(Write(MachineToJson(Timed(NumCores()))));
  ASSERT_TRUE(device.ok()) << device.status().message();
  EXPECT_EQ(device->gflops, 123);
  const StatusOr<Device> more =
      ReadLocalDevice(Write(MachineToJson(Timed(NumCores() + 1))));
  ASSERT_FALSE(more.ok());
  EXPECT_NE(more.status().message().find("was timed on"), std::string::npos);
  Machine other = Timed(NumCores());
  Calibration timed = *other.devices[0].calibration;
  timed.cpu = "another";
  other.devices[0].calibration = std::make_shared<Calibration>(timed);
  EXPECT_FALSE(ReadLocalDevice(Write(MachineToJson(other))).ok());
}

TEST_F(LocalMachineTest, AFileThatIsOfNoUseIsASentence) {
  EXPECT_EQ(ReadLocalDevice("").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ReadLocalDevice("/no/such/file").status().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(ReadLocalDevice(Write("{")).status().code(),
            StatusCode::kInvalidArgument);
  Machine machine = Timed(NumCores());
  machine.devices[0].calibration = nullptr;
  EXPECT_NE(ReadLocalDevice(Write(MachineToJson(machine)))
                .status()
                .message()
                .find("no CPU with a calibration"),
            std::string::npos);
}

TEST_F(LocalMachineTest, TheEnvironmentSaysWhereItIs) {
  setenv("GRAPPLER_GO_MACHINE", "/a/file.json", 1);
  EXPECT_EQ(LocalMachinePath(), "/a/file.json");
  setenv("GRAPPLER_GO_MACHINE", "0", 1);
  EXPECT_EQ(LocalMachinePath(), "");
  unsetenv("GRAPPLER_GO_MACHINE");
  setenv("XDG_CACHE_HOME", "/cache", 1);
  EXPECT_EQ(LocalMachinePath(), "/cache/grappler-go/machine.json");
  unsetenv("XDG_CACHE_HOME");
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(LocalMachinePath(), "/home/me/.cache/grappler-go/machine.json");
}

TEST(ApplyLocalMachine, IsForThisProcesssCpusThatNobodyTimed) {
  const std::string path = ::testing::TempDir() + "/applied.json";
  std::ofstream(path) << MachineToJson(Timed(NumCores()));
  setenv("GRAPPLER_GO_MACHINE", path.c_str(), 1);
  Machine machine;
  machine.devices.resize(4);
  const char* const names[] = {"/job:localhost/replica:0/task:0/device:CPU:0",
                               "/job:localhost/replica:0/task:0/device:GPU:0",
                               "/job:worker/replica:0/task:0/device:CPU:0",
                               "/job:localhost/replica:0/task:0/device:CPU:1"};
  for (int i = 0; i < 4; ++i) {
    machine.devices[i].name = names[i];
    machine.devices[i].type = i == 1 ? "GPU" : "CPU";
  }
  const auto own = std::make_shared<const Calibration>();
  machine.devices[3].calibration = own;
  ApplyLocalMachine(&machine);
  EXPECT_EQ(LocalMachineState(), "");
  EXPECT_EQ(machine.devices[0].gflops, 123);
  ASSERT_NE(machine.devices[0].calibration, nullptr);
  EXPECT_EQ(machine.devices[1].calibration, nullptr);
  EXPECT_EQ(machine.devices[2].calibration, nullptr);
  EXPECT_EQ(machine.devices[3].calibration, own);
}

}  // namespace
}  // namespace grappler_go
