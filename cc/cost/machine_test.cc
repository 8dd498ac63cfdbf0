#include "cc/cost/machine.h"

#include <cmath>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace grappler_go {
namespace {

constexpr char kCpu0[] = "/job:localhost/replica:0/task:0/device:CPU:0";
constexpr char kCpu1[] = "/job:localhost/replica:0/task:0/device:CPU:1";
constexpr char kGpu0[] = "/job:localhost/replica:0/task:0/device:GPU:0";

Machine ThreeDevices() {
  Machine machine;
  machine.name = "test";
  machine.devices = {{kCpu0, "CPU", 100.0, 20.0, 0},
                     {kCpu1, "CPU", 50.5, 10.0, int64_t{1} << 34},
                     {kGpu0, "GPU", 9000.0, 700.0, int64_t{1} << 40}};
  machine.links = {{0, 2, 12.0, 10.0}, {2, 0, 11.5, 0.0},  {0, 1, 5.0, 1.0},
                   {1, 0, 5.0, 1.0},   {1, 2, 12.0, 10.0}, {2, 1, 12.0, 10.0}};
  machine.devices[2].dispatch_us = 5.0;
  machine.devices[2].achieved.fill({0.5, 0.75});
  machine.devices[2].achieved[static_cast<size_t>(OpClass::kConv)] = {0.25,
                                                                      0.5};
  machine.sources = {{"GPU gflops", "data sheet"}};
  return machine;
}

std::string WhyNot(const Machine& machine) {
  const Status status = machine.Validate();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  return status.message();
}

std::string WhyNotJson(const std::string& json) {
  const StatusOr<Machine> machine = MachineFromJson(json);
  EXPECT_FALSE(machine.ok());
  EXPECT_EQ(machine.status().code(), StatusCode::kInvalidArgument);
  return machine.status().message();
}

std::string Replaced(std::string text, std::string_view from,
                     std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

bool Starts(const std::string& text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

TEST(Machine, SurvivesJsonUnchanged) {
  const std::string json = MachineToJson(ThreeDevices());
  StatusOr<Machine> read = MachineFromJson(json);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(MachineToJson(*read), json);
  EXPECT_EQ(read->name, "test");
  ASSERT_EQ(read->devices.size(), 3u);
  EXPECT_EQ(read->devices[1].gflops, 50.5);
  EXPECT_EQ(read->devices[2].memory_bytes, int64_t{1} << 40);
  ASSERT_EQ(read->links.size(), 6u);
  EXPECT_EQ(read->links[1].src, 2);
  EXPECT_EQ(read->links[1].gbytes_per_s, 11.5);
  EXPECT_EQ(read->links[1].cpu_us, 0);
  const Device& gpu = read->devices[2];
  EXPECT_EQ(gpu.dispatch_us, 5.0);
  const auto achieved = [&gpu](OpClass op_class) {
    return gpu.achieved[static_cast<size_t>(op_class)];
  };
  EXPECT_EQ(achieved(OpClass::kConv).gflops, 0.25);
  EXPECT_EQ(achieved(OpClass::kConv).gbytes_per_s, 0.5);
  EXPECT_EQ(achieved(OpClass::kMatMul).gflops, 0.5);
  EXPECT_EQ(achieved(OpClass::kOther).gbytes_per_s, 0.75);
  EXPECT_EQ(read->devices[0].achieved[0].gflops, 1.0);
  EXPECT_EQ(read->sources.at("GPU gflops"), "data sheet");
}

TEST(Machine, WritesTheSlowestLinkForThoseItLacks) {
  Machine machine = ThreeDevices();
  machine.links.resize(3);
  const StatusOr<Machine> read = MachineFromJson(MachineToJson(machine));
  ASSERT_TRUE(read.ok()) << read.status().message();
  ASSERT_EQ(read->links.size(), 6u);
  for (size_t i = 3; i < 6; ++i) {
    EXPECT_EQ(read->links[i].gbytes_per_s, 5.0);
    EXPECT_EQ(read->links[i].latency_us, 1.0);
  }
}

TEST(Machine, WritesWhatTransfersTakeOfCpus) {
  Machine machine = ThreeDevices();
  machine.links[1].cpu_us = 150.5;
  machine.links[2].cpu_us_per_mb = 600.5;
  const StatusOr<Machine> read = MachineFromJson(MachineToJson(machine));
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->links[1].cpu_us, 150.5);
  EXPECT_EQ(read->links[1].cpu_us_per_mb, 0);
  EXPECT_EQ(read->links[2].cpu_us, 0);
  EXPECT_EQ(read->links[2].cpu_us_per_mb, 600.5);
}

TEST(Machine, ANameThatIsNotUtf8DoesNotThrow) {
  Machine machine = ThreeDevices();
  machine.name = "\xff";
  EXPECT_FALSE(MachineToJson(machine).empty());
}

TEST(Machine, FindsDevicesByTheirShortForms) {
  const Machine machine = ThreeDevices();
  EXPECT_EQ(machine.find_device(kCpu1), 1);
  EXPECT_EQ(machine.find_device("/device:CPU:1"), 1);
  EXPECT_EQ(machine.find_device("CPU:1"), 1);
  EXPECT_EQ(machine.find_device("/cpu:1"), 1);
  EXPECT_EQ(machine.find_device("GPU:1"), -1);
  EXPECT_EQ(machine.find_device("CPU"), -1);
  EXPECT_EQ(machine.find_device(""), -1);
}

TEST(Machine, AShortNameIsOfThisProcessAndSaysTheType) {
  Machine machine;
  machine.devices.resize(4);
  machine.devices[0].name = "CPU:0";
  machine.devices[1].name = "/device:GPU:1";
  machine.devices[2].name = "/job:worker/task:1/device:TPU:0";
  machine.devices[3].name = "nonsense";
  machine.CompleteNames();
  EXPECT_EQ(machine.devices[0].name, kCpu0);
  EXPECT_EQ(machine.devices[0].type, "CPU");
  EXPECT_EQ(machine.devices[1].name,
            "/job:localhost/replica:0/task:0/device:GPU:1");
  EXPECT_EQ(machine.devices[1].type, "GPU");
  EXPECT_EQ(machine.devices[2].name, "/job:worker/task:1/device:TPU:0");
  EXPECT_EQ(machine.devices[2].type, "TPU");
  EXPECT_EQ(machine.devices[3].name, "nonsense");
}

TEST(Machine, AnAmbiguousShortFormFindsNothing) {
  Machine machine = ThreeDevices();
  machine.devices.push_back(
      {"/job:worker/replica:0/task:1/device:CPU:0", "CPU", 1, 1, 0});
  EXPECT_EQ(machine.find_device("CPU:0"), -1);
  EXPECT_EQ(machine.find_device(kCpu0), 0);
  EXPECT_EQ(machine.find_device("/job:worker/replica:0/task:2/device:CPU:1"),
            -1);
}

TEST(Machine, RejectsRatesThatAreNotPositiveAndNamesTheField) {
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    Machine machine = ThreeDevices();
    machine.devices[1].gflops = bad;
    EXPECT_TRUE(Starts(WhyNot(machine), "devices[1].gflops"));
    machine = ThreeDevices();
    machine.devices[2].gbytes_per_s = bad;
    EXPECT_TRUE(Starts(WhyNot(machine), "devices[2].gbytes_per_s"));
    machine = ThreeDevices();
    machine.links[1].gbytes_per_s = bad;
    EXPECT_TRUE(Starts(WhyNot(machine), "links[1].gbytes_per_s"));
  }
  Machine machine = ThreeDevices();
  machine.devices[0].memory_bytes = -1;
  EXPECT_TRUE(Starts(WhyNot(machine), "devices[0].memory_bytes"));
  machine = ThreeDevices();
  machine.links[0].latency_us = -0.5;
  EXPECT_TRUE(Starts(WhyNot(machine), "links[0].latency_us"));
  machine = ThreeDevices();
  machine.links[0].cpu_us = -1;
  EXPECT_TRUE(Starts(WhyNot(machine), "links[0].cpu_us must be"));
  machine = ThreeDevices();
  machine.links[1].cpu_us_per_mb = std::nan("");
  EXPECT_TRUE(Starts(WhyNot(machine), "links[1].cpu_us_per_mb must be"));
  machine = ThreeDevices();
  machine.devices[1].dispatch_us = -1;
  EXPECT_TRUE(Starts(WhyNot(machine), "devices[1].dispatch_us"));
}

TEST(Machine, RejectsFractionsThatAreNone) {
  for (const double bad : {0.0, -0.5, 1.5, std::nan("")}) {
    Machine machine = ThreeDevices();
    machine.devices[1].achieved[static_cast<size_t>(OpClass::kConv)].gflops =
        bad;
    EXPECT_TRUE(Starts(WhyNot(machine), "devices[1].achieved.conv.gflops"));
  }
}

TEST(Machine, RejectsLinksToDevicesThatAreNotThere) {
  for (const int32_t bad : {-1, 3}) {
    Machine machine = ThreeDevices();
    machine.links[0].dst = bad;
    EXPECT_TRUE(Starts(WhyNot(machine), "links[0].dst"));
  }
  Machine machine = ThreeDevices();
  machine.links[0] = {1, 1, 1.0, 1.0};
  EXPECT_TRUE(Starts(WhyNot(machine), "links[0].dst"));
  machine = ThreeDevices();
  machine.links.push_back(machine.links[0]);
  EXPECT_TRUE(Starts(WhyNot(machine), "links[6].src"));
}

TEST(Machine, RejectsNamesThatTensorFlowWouldNotRead) {
  for (const char* bad :
       {"", "CPU:0", "/device:CPU", "/device:CPU:x", "/device:CPU:0/task:0",
        "/job:/device:CPU:0", "/job:a/replica:0/task:0", "//device:CPU:0",
        "/machine:1/device:CPU:0"}) {
    Machine machine = ThreeDevices();
    machine.devices[0].name = bad;
    EXPECT_TRUE(Starts(WhyNot(machine), "devices[0].name")) << bad;
  }
  Machine machine = ThreeDevices();
  machine.devices[1].name = kCpu0;
  EXPECT_TRUE(Starts(WhyNot(machine), "devices[1].name"));
  machine = ThreeDevices();
  machine.devices[1].type = "GPU";
  EXPECT_TRUE(Starts(WhyNot(machine), "devices[1].type"));
  EXPECT_TRUE(Starts(WhyNot(Machine()), "devices is empty"));
}

TEST(MachineFromJson, NamesTheFieldThatIsWrong) {
  const std::string json = MachineToJson(ThreeDevices());
  EXPECT_TRUE(Starts(WhyNotJson(Replaced(json, "gflops\": 50.5",
                                         "gflops\": "
                                         "\"fast\"")),
                     "devices[1].gflops must be a number"));
  EXPECT_TRUE(Starts(WhyNotJson(Replaced(json, "\"src\": 0", "\"source\": 0")),
                     "links[0] has an unknown field \"source\"; allowed: src"));
  EXPECT_TRUE(Starts(WhyNotJson(Replaced(json, "\"gflops\": 50.5,", "")),
                     "devices[1].gflops is missing"));
  EXPECT_TRUE(
      Starts(WhyNotJson(Replaced(json, "17179869184", "18446744073709551615")),
             "devices[1].memory_bytes must be a 64-bit integer"));
  EXPECT_TRUE(Starts(WhyNotJson(Replaced(json, "\"src\": 0", "\"src\": 1e3")),
                     "links[0].src must be a 64-bit integer"));
  EXPECT_TRUE(
      Starts(WhyNotJson(Replaced(json, "\"src\": 0", "\"src\": 4294967296")),
             "links[0].src must be a 32-bit integer"));
  EXPECT_TRUE(Starts(WhyNotJson(Replaced(json, "machine\"", "plan\"")),
                     "machine.format is \"grappler-go-plan\""));
  for (const char* version : {"\"2.0\"", "\"1\"", "\"1.x\"", "\"1.1.1\""}) {
    EXPECT_TRUE(Starts(WhyNotJson(Replaced(json, "\"1.4\"", version)),
                       "machine.version is " + std::string(version)));
  }
  EXPECT_TRUE(Starts(WhyNotJson(Replaced(json, "\"name\"", "\"nome\"")),
                     "machine has an unknown field"));
}

TEST(MachineFromJson, ReadsOlderAndNewerMinorVersions) {
  const std::string json = MachineToJson(ThreeDevices());
  for (const char* version : {"\"1.0\"", "\"1.9\""}) {
    EXPECT_TRUE(MachineFromJson(Replaced(json, "\"1.4\"", version)).ok());
  }
  // What it cannot read it blames on the version.
  const std::string newer = Replaced(json, "\"1.4\"", "\"1.9\"");
  const std::string why = WhyNotJson(Replaced(newer, "\"src\"", "\"from\""));
  EXPECT_TRUE(Starts(why, "links[0] has an unknown field \"from\""));
  EXPECT_NE(why.find("version 1.9; this release knows 1.4"), std::string::npos);
}

std::string TwoDevices(const std::string& rest) {
  return R"({"format": "grappler-go-machine", "version": "1.1", "devices": [
    {"name": "/device:GPU:0", "type": "GPU", "gflops": 1, "gbytes_per_s": 1},
    {"name": "/device:GPU:1", "type": "GPU", "gflops": 1, "gbytes_per_s": 1}])" +
         rest + "}";
}

TEST(MachineFromJson, RejectsMissingLinks) {
  EXPECT_TRUE(Starts(WhyNotJson(TwoDevices("")),
                     "links has none from 0 "
                     "(/job:localhost/replica:0/task:0/device:GPU:0) to 1 "
                     "(/job:localhost/replica:0/task:0/device:GPU:1); add it, "
                     "or a default_link"));
  EXPECT_TRUE(Starts(
      WhyNotJson(TwoDevices(
          R"(, "links": [{"src": 0, "dst": 1, "gbytes_per_s": 1, "latency_us": 1}])")),
      "links has none from 1"));
}

TEST(MachineFromJson, TheDefaultLinkStandsForThoseThatAreNotListed) {
  const StatusOr<Machine> machine = MachineFromJson(TwoDevices(
      R"(, "default_link": {"gbytes_per_s": 12, "latency_us": 10, "cpu_us": 3},
           "links": [{"src": 1, "dst": 0, "gbytes_per_s": 3, "latency_us": 4}])"));
  ASSERT_TRUE(machine.ok()) << machine.status().message();
  ASSERT_EQ(machine->links.size(), 2u);
  EXPECT_EQ(machine->links[0].gbytes_per_s, 3);
  EXPECT_EQ(machine->links[1].src, 0);
  EXPECT_EQ(machine->links[1].dst, 1);
  EXPECT_EQ(machine->links[1].gbytes_per_s, 12);
  EXPECT_EQ(machine->links[1].latency_us, 10);
  EXPECT_EQ(machine->links[1].cpu_us, 3);
}

TEST(MachineFromJson, RejectsDefaultLinksThatCarryNothing) {
  EXPECT_TRUE(
      Starts(WhyNotJson(TwoDevices(
                 R"(, "default_link": {"gbytes_per_s": 0, "latency_us": 10})")),
             "default_link.gbytes_per_s must be a positive number"));
  EXPECT_TRUE(
      Starts(WhyNotJson(TwoDevices(
                 R"(, "default_link": {"gbytes_per_s": 1, "latency_us": -1})")),
             "default_link.latency_us must be"));
  EXPECT_TRUE(Starts(
      WhyNotJson(TwoDevices(
          R"(, "default_link": {"gbytes_per_s": 1, "latency_us": 1, "cpu_us": -1})")),
      "default_link.cpu_us must be"));
  EXPECT_TRUE(
      Starts(WhyNotJson(TwoDevices(R"(, "default_link": {"gbytes_per_s": 1})")),
             "default_link.latency_us is missing"));
}

TEST(MachineFromJson, NamesTheFractionThatIsWrong) {
  const std::string json = MachineToJson(ThreeDevices());
  EXPECT_TRUE(Starts(WhyNotJson(Replaced(json, "\"conv\"", "\"convolution\"")),
                     "devices[2].achieved has an unknown class of ops "
                     "\"convolution\"; allowed: argument, call"));
  EXPECT_TRUE(Starts(WhyNotJson(Replaced(json, "0.25", "0")),
                     "devices[2].achieved.conv.gflops must be a fraction"));
  EXPECT_TRUE(Starts(WhyNotJson(Replaced(json, "0.25", "\"all\"")),
                     "devices[2].achieved.conv.gflops must be a number"));
  EXPECT_TRUE(Starts(WhyNotJson(Replaced(json, "\"data sheet\"", "3")),
                     "machine.sources.GPU gflops must be a string"));
}

TEST(MachineFromJson, RejectsWhatIsNotAMachine) {
  for (const char* bad :
       {"", "{", "[]", "3", "null", "{}", "\"x\"",
        R"({"format":"grappler-go-machine","version":"1.0","devices":{}})",
        R"({"format":"grappler-go-machine","version":"1.0","devices":[3]})",
        R"({"format":"grappler-go-machine","version":"1.0","devices":[]})",
        R"({"format":"grappler-go-machine","version":"1.0"})"}) {
    EXPECT_FALSE(WhyNotJson(bad).empty()) << bad;
  }
}

}  // namespace
}  // namespace grappler_go
