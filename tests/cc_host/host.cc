// A C++ program with TensorFlow in it and no Python: loads the plugin, runs a
// graph with it and without, and says what happened in JSON.
//
//   host --plugin=libgrappler_go.so --policy=SPEC [--save_plan=FILE]
//        [--runs=N] [--iterations=N] [--meta_iterations=N] [--budget_ms=N]
//
// Each of the --runs has a session of its own, in which the graph is optimised
// anew and then run --iterations times; "largest_change" is how far an output
// was from that of the session's first iteration. --meta_iterations is how
// often TensorFlow's meta-optimizer goes over a graph (0: its default, two).
//
// Without --policy the environment configures the plugin (GRAPPLER_GO=1). With
// --save_plan the plan that the policy made is written, to be given as
// --policy to another run. --plugin may be given several times. Exit status: 0;
// 2 for wrong usage; 3 when TensorFlow or the plugin refuses, with
// {"error": ...} printed.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "cc/base/json.h"
#include "cc/plugin/capture.h"
#include "cc/plugin/config.h"
#include "cc/plugin/optimize.h"
#include "cc/plugin/registration.h"
#include "cc/plugin/report.h"
#include "tensorflow/c/c_api.h"
#include "tensorflow/c/c_api_experimental.h"

namespace {

using grappler_go::CapturedGraph;
using grappler_go::Config;
using grappler_go::Json;
using grappler_go::JsonText;
using grappler_go::ParseJson;

constexpr int64_t kSize = 64;
constexpr int kLayers = 6;

[[noreturn]] void Fail(const std::string& message) {
  std::cout << JsonText(Json{{"error", message}}) << std::endl;
  // Without destructors: policies may still be running.
  std::_Exit(3);
}

void Check(TF_Status* status, const std::string& what) {
  if (TF_GetCode(status) != TF_OK) Fail(what + ": " + TF_Message(status));
}

struct Flags {
  std::vector<std::string> plugins;
  std::string policy, save_plan;
  int runs = 1;
  int iterations = 1;
  int meta_iterations = 0;
  int budget_ms = 20000;
};

Flags ParseFlags(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const size_t equals = arg.find('=');
    const std::string name = arg.substr(0, equals);
    const std::string value =
        equals == std::string::npos ? "" : arg.substr(equals + 1);
    if (name == "--plugin") {
      flags.plugins.push_back(value);
    } else if (name == "--policy") {
      flags.policy = value;
    } else if (name == "--save_plan") {
      flags.save_plan = value;
    } else if (name == "--runs") {
      flags.runs = std::atoi(value.c_str());
    } else if (name == "--iterations") {
      flags.iterations = std::atoi(value.c_str());
    } else if (name == "--meta_iterations") {
      flags.meta_iterations = std::atoi(value.c_str());
    } else if (name == "--budget_ms") {
      flags.budget_ms = std::atoi(value.c_str());
    } else {
      std::cerr << "host: unknown flag " << arg << std::endl;
      std::exit(2);
    }
  }
  if (flags.runs < 1 || flags.iterations < 1) {
    std::cerr << "host: --runs and --iterations start at 1" << std::endl;
    std::exit(2);
  }
  return flags;
}

double LargestDifference(const std::vector<float>& a,
                         const std::vector<float>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - b.at(i));
    // JSON has neither and writes null.
    if (std::isnan(difference)) return difference;
    largest = std::max(largest, difference);
  }
  return largest;
}

// What one session computed: in its first iteration, how long that took, and
// how far the others were from it.
struct Outcome {
  std::vector<float> values;
  double seconds = 0;
  double largest_change = 0;
};

// x -> tanh(x * w + x) * x, several times over.
class Model {
 public:
  Model() : status_(TF_NewStatus()), graph_(TF_NewGraph()) {
    TF_OperationDescription* x = TF_NewOperation(graph_, "Placeholder", "x");
    TF_SetAttrType(x, "dtype", TF_FLOAT);
    const int64_t dims[] = {kSize, kSize};
    TF_SetAttrShape(x, "shape", dims, 2);
    input_ = {Finish(x), 0};
    TF_Output weights = Weights();
    TF_Output value = input_;
    for (int i = 0; i < kLayers; ++i) {
      const std::string layer = "layer_" + std::to_string(i) + "/";
      const TF_Output product =
          Binary("MatMul", layer + "matmul", value, weights);
      const TF_Output sum = Binary("AddV2", layer + "add", product, value);
      TF_OperationDescription* tanh =
          TF_NewOperation(graph_, "Tanh", (layer + "tanh").c_str());
      TF_AddInput(tanh, sum);
      const TF_Output squashed = {Finish(tanh), 0};
      value = Binary("Mul", layer + "mul", squashed, value);
    }
    output_ = value;
  }

  // In a session of its own, so that each run is optimised anew.
  Outcome Run(bool plugins, const Flags& flags) {
    TF_SessionOptions* options = TF_NewSessionOptions();
    // graph_options { rewrite_options { use_plugin_optimizers: ON or OFF,
    //                                   meta_optimizer_iterations } }
    const unsigned char config[] = {
        0x52,
        0x07,
        0x52,
        0x05,
        0xe0,
        0x01,
        static_cast<unsigned char>(plugins ? 1 : 2),
        0x60,
        static_cast<unsigned char>(flags.meta_iterations)};
    TF_SetConfig(options, config, sizeof(config), status_);
    Check(status_, "TF_SetConfig");
    TF_Session* session = TF_NewSession(graph_, options, status_);
    Check(status_, "TF_NewSession");
    TF_DeleteSessionOptions(options);

    const int64_t dims[] = {kSize, kSize};
    TF_Tensor* x =
        TF_AllocateTensor(TF_FLOAT, dims, 2, kSize * kSize * sizeof(float));
    float* data = static_cast<float*>(TF_TensorData(x));
    for (int64_t i = 0; i < kSize * kSize; ++i) {
      data[i] = std::sin(static_cast<float>(i));
    }
    Outcome outcome;
    const auto begin = std::chrono::steady_clock::now();
    outcome.values = Iterate(session, x);
    outcome.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
            .count();
    for (int i = 1; i < flags.iterations; ++i) {
      outcome.largest_change =
          std::max(outcome.largest_change,
                   LargestDifference(outcome.values, Iterate(session, x)));
    }
    TF_DeleteTensor(x);
    TF_CloseSession(session, status_);
    TF_DeleteSession(session, status_);
    return outcome;
  }

  // Of all runs together.
  int num_iterations() const { return num_iterations_; }

 private:
  std::vector<float> Iterate(TF_Session* session, TF_Tensor* x) {
    TF_Tensor* y = nullptr;
    TF_SessionRun(session, nullptr, &input_, &x, 1, &output_, &y, 1, nullptr, 0,
                  nullptr, status_);
    Check(status_, "TF_SessionRun");
    const float* result = static_cast<const float*>(TF_TensorData(y));
    std::vector<float> values(result, result + TF_TensorElementCount(y));
    TF_DeleteTensor(y);
    ++num_iterations_;
    return values;
  }

  TF_Operation* Finish(TF_OperationDescription* description) {
    TF_Operation* operation = TF_FinishOperation(description, status_);
    Check(status_, "TF_FinishOperation");
    return operation;
  }

  TF_Output Weights() {
    const int64_t dims[] = {kSize, kSize};
    TF_Tensor* values =
        TF_AllocateTensor(TF_FLOAT, dims, 2, kSize * kSize * sizeof(float));
    float* data = static_cast<float*>(TF_TensorData(values));
    for (int64_t i = 0; i < kSize * kSize; ++i) {
      data[i] = 0.1f * std::cos(static_cast<float>(i));
    }
    TF_OperationDescription* weights =
        TF_NewOperation(graph_, "Const", "weights");
    TF_SetAttrType(weights, "dtype", TF_FLOAT);
    TF_SetAttrTensor(weights, "value", values, status_);
    Check(status_, "TF_SetAttrTensor");
    TF_DeleteTensor(values);
    return {Finish(weights), 0};
  }

  TF_Output Binary(const char* op, const std::string& name, TF_Output a,
                   TF_Output b) {
    TF_OperationDescription* node = TF_NewOperation(graph_, op, name.c_str());
    TF_AddInput(node, a);
    TF_AddInput(node, b);
    return {Finish(node), 0};
  }

  TF_Status* const status_;
  TF_Graph* const graph_;
  TF_Output input_, output_;
  int num_iterations_ = 0;
};

void SavePlan(const std::string& path) {
  // The graph that was captured, through the same pass with the same policy.
  const std::vector<CapturedGraph> graphs = grappler_go::TakeCaptured();
  if (graphs.empty()) Fail("no graph was captured");
  const CapturedGraph& graph = graphs.front();
  grappler_go::OptimizeInput input;
  input.graphdef = graph.graphdef;
  input.fetches = graph.fetches;
  input.preserve = graph.preserve;
  const grappler_go::OptimizeResult result =
      grappler_go::OptimizeGraph(input, *grappler_go::CurrentConfig());
  std::ofstream(path) << grappler_go::PlanToJson(result.plan, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags = ParseFlags(argc, argv);
  TF_Status* status = TF_NewStatus();
  for (const std::string& plugin : flags.plugins) {
    TF_LoadPluggableDeviceLibrary(plugin.c_str(), status);
    Check(status, plugin);
  }
  const grappler_go::Status registered = grappler_go::RegistrationOutcome();
  if (!registered.ok()) Fail(registered.message());
  if (!flags.policy.empty()) {
    auto policy = grappler_go::LoadPolicy(flags.policy);
    if (!policy.ok()) Fail(policy.status().message());
    Config config;
    config.enabled = true;
    config.policy = *policy;
    config.capture = !flags.save_plan.empty();
    config.budget_ms = flags.budget_ms;
    grappler_go::SetConfig(config);
  }

  Model model;
  const Outcome expected = model.Run(/*plugins=*/false, flags);
  Json result;
  result["tensorflow"] = TF_Version();
  result["reports_without_plugin"] = grappler_go::Reports().size();
  double difference = 0, change = expected.largest_change;
  for (int run = 0; run < flags.runs; ++run) {
    const Outcome actual = model.Run(/*plugins=*/true, flags);
    result["seconds"].push_back(actual.seconds);
    difference =
        std::max(difference, LargestDifference(actual.values, expected.values));
    change = std::max(change, actual.largest_change);
  }
  result["iterations"] = model.num_iterations();
  result["largest_difference"] = difference;
  result["largest_change"] = change;
  result["reports"] =
      ParseJson(grappler_go::ReportsToJson(grappler_go::Reports()));
  if (!flags.save_plan.empty()) SavePlan(flags.save_plan);
  std::cout << JsonText(result) << std::endl;
  std::_Exit(0);
}
