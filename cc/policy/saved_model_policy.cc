#include "cc/policy/saved_model_policy.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "cc/graph/wire.h"
#include "cc/policy/policy_folder.h"
#include "cc/policy/saved_model_check.h"
#include "cc/policy/schema_adapter.h"
#include "tensorflow/c/c_api.h"

namespace grappler_go {
namespace {

// Frees what TensorFlow's C API hands out.
struct Free {
  void operator()(TF_Status* p) const { TF_DeleteStatus(p); }
  void operator()(TF_Graph* p) const { TF_DeleteGraph(p); }
  void operator()(TF_Tensor* p) const { TF_DeleteTensor(p); }
  void operator()(TF_Buffer* p) const { TF_DeleteBuffer(p); }
  void operator()(TF_SessionOptions* p) const { TF_DeleteSessionOptions(p); }
  void operator()(TF_Session* p) const {
    std::unique_ptr<TF_Status, Free> status(TF_NewStatus());
    TF_CloseSession(p, status.get());
    TF_DeleteSession(p, status.get());
  }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

// ConfigProto (config.proto, rewriter_config.proto), by field number.
std::string SessionConfig() {
  std::string rewriter;
  AppendVarintField(28, 2, &rewriter);  // use_plugin_optimizers: OFF
  std::string optimizer;
  // global_jit_level: OFF (-1). The policy is run on graphs of every size; XLA
  // would compile it anew for each.
  AppendVarintField(5, static_cast<uint64_t>(int64_t{-1}), &optimizer);
  std::string graph_options;
  AppendBytesField(3, optimizer, &graph_options);
  AppendBytesField(10, rewriter, &graph_options);
  std::string no_gpu;
  AppendBytesField(1, "GPU", &no_gpu);
  AppendVarintField(2, 0, &no_gpu);
  std::string config;
  AppendBytesField(1, no_gpu, &config);  // device_count
  AppendVarintField(2, 2, &config);      // intra_op_parallelism_threads
  // inter_op_parallelism_threads: of a small graph's ops most are too short to
  // be shared, but there are many side by side.
  AppendVarintField(5, 2, &config);
  AppendVarintField(7, 1, &config);  // allow_soft_placement
  // The process's own pools may be full of threads that wait for this policy.
  AppendVarintField(9, 1, &config);  // use_per_session_threads
  AppendBytesField(10, graph_options, &config);
  return config;
}

// RunOptions: timeout_in_ms = 2. TensorFlow stops by itself, if it can, which
// is better than being abandoned.
Owned<TF_Buffer> RunOptionsUntil(Deadline deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  std::string options;
  AppendVarintField(
      2, static_cast<uint64_t>(std::max<int64_t>(1, left.count())), &options);
  return Owned<TF_Buffer>(
      TF_NewBufferFromString(options.data(), options.size()));
}

template <typename T>
Owned<TF_Tensor> MakeTensor(TF_DataType dtype, const std::vector<T>& values,
                            const std::vector<int64_t>& dims) {
  Owned<TF_Tensor> tensor(TF_AllocateTensor(dtype, dims.data(),
                                            static_cast<int>(dims.size()),
                                            values.size() * sizeof(T)));
  if (tensor != nullptr && !values.empty()) {
    std::memcpy(TF_TensorData(tensor.get()), values.data(),
                values.size() * sizeof(T));
  }
  return tensor;
}

std::vector<float>* FindLogits(Logits* logits, const std::string& name) {
  if (name == "device") return &logits->device;
  if (name == "fusion") return &logits->fusion;
  if (name == "schedule") return &logits->schedule;
  if (name == "recompute") return &logits->recompute;
  if (name == "op_micros") return &logits->op_micros;
  return &logits->fused_micros;
}

std::string DimsToString(const std::vector<int64_t>& dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(dims[i]);
  }
  return text + "]";
}

struct Port {
  std::string name;  // of the array
  TF_Output tensor = {nullptr, 0};
  int dtype = 0;
};

class SavedModelPolicy : public Policy {
 public:
  SavedModelPolicy(PolicyFolder folder, SchemaAdapter adapter)
      : folder_(std::move(folder)), adapter_(std::move(adapter)) {}

  Status Load(const SavedModelSignature& signature);
  std::string name() const override { return folder_.name; }
  bool reads_graph() const override { return false; }
  uint32_t reads_arrays(const Machine&) const override {
    uint32_t arrays = 0;
    for (const std::string& name : folder_.inputs) arrays |= ArraysOf(name);
    return arrays;
  }
  StatusOr<Decision> Decide(const PolicyInput& input) override {
    return Run(input.features, input.deadline);
  }
  // On zeros, so that the first user's graph does not pay for the first run.
  Status WarmUp();

 private:
  Status FindPorts(const std::vector<std::string>& names,
                   const std::map<std::string, SignatureTensor>& tensors,
                   std::vector<Port>* ports);
  StatusOr<Decision> Run(const Features& features, Deadline deadline);
  Status ReadLogits(const Port& port, const TF_Tensor* tensor,
                    Logits* logits) const;

  const PolicyFolder folder_;
  const SchemaAdapter adapter_;
  Owned<TF_Graph> graph_{TF_NewGraph()};
  Owned<TF_Session> session_;
  std::vector<Port> inputs_, outputs_;
};

Status SavedModelPolicy::Load(const SavedModelSignature& signature) {
  Owned<TF_Status> status(TF_NewStatus());
  Owned<TF_SessionOptions> options(TF_NewSessionOptions());
  const std::string config = SessionConfig();
  TF_SetConfig(options.get(), config.data(), config.size(), status.get());
  if (TF_GetCode(status.get()) != TF_OK) {
    return Unavailable(std::string("TensorFlow refused the session's "
                                   "configuration: ") +
                       TF_Message(status.get()));
  }
  const char* const tags[] = {"serve"};
  session_.reset(TF_LoadSessionFromSavedModel(
      options.get(), nullptr, folder_.path.c_str(), tags, 1, graph_.get(),
      nullptr, status.get()));
  if (TF_GetCode(status.get()) != TF_OK) {
    return Unavailable("TensorFlow cannot load " + folder_.path + ": " +
                       TF_Message(status.get()));
  }
  GO_RETURN_IF_ERROR(FindPorts(folder_.inputs, signature.inputs, &inputs_));
  return FindPorts(folder_.outputs, signature.outputs, &outputs_);
}

Status SavedModelPolicy::FindPorts(
    const std::vector<std::string>& names,
    const std::map<std::string, SignatureTensor>& tensors,
    std::vector<Port>* ports) {
  for (const std::string& name : names) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      return InvalidArgument("schema.json lists '" + name +
                             "', which is not in the model's signature");
    }
    const std::string& tensor = found->second.tensor;
    const size_t colon = tensor.find(':');
    Port port;
    port.name = name;
    port.dtype = found->second.dtype;
    port.tensor.oper =
        TF_GraphOperationByName(graph_.get(), tensor.substr(0, colon).c_str());
    if (colon != std::string::npos) {
      std::from_chars(tensor.data() + colon + 1, tensor.data() + tensor.size(),
                      port.tensor.index);
    }
    if (port.tensor.oper == nullptr || port.tensor.index < 0 ||
        port.tensor.index >= TF_OperationNumOutputs(port.tensor.oper)) {
      return InvalidArgument("the model's signature names a tensor '" + tensor +
                             "' that is not there");
    }
    ports->push_back(std::move(port));
  }
  return OkStatus();
}

StatusOr<Decision> SavedModelPolicy::Run(const Features& given,
                                         Deadline deadline) {
  Features adapted;
  if (!adapter_.identity()) adapted = adapter_.Adapt(given);
  const Features& features = adapter_.identity() ? given : adapted;

  std::vector<TF_Output> feeds, fetches;
  std::vector<Owned<TF_Tensor>> owned;
  std::vector<TF_Tensor*> values;
  for (const Port& port : inputs_) {
    const FeatureArray array = FindArray(features, port.name);
    Owned<TF_Tensor> tensor;
    if (array.floats != nullptr && port.dtype == TF_FLOAT) {
      tensor = MakeTensor(TF_FLOAT, *array.floats, array.shape);
    } else if (array.ints != nullptr && port.dtype == TF_INT32) {
      tensor = MakeTensor(TF_INT32, *array.ints, array.shape);
    } else if (array.ints != nullptr && port.dtype == TF_INT64) {
      tensor = MakeTensor(
          TF_INT64,
          std::vector<int64_t>(array.ints->begin(), array.ints->end()),
          array.shape);
    } else {
      return InvalidArgument("policy " + name() + " takes " + port.name +
                             " as dtype " + std::to_string(port.dtype) +
                             ", expected " +
                             (array.ints != nullptr ? "int32" : "float32"));
    }
    if (tensor == nullptr) return Unavailable("no memory for " + port.name);
    feeds.push_back(port.tensor);
    values.push_back(tensor.get());
    owned.push_back(std::move(tensor));
  }
  for (const Port& port : outputs_) fetches.push_back(port.tensor);

  std::vector<TF_Tensor*> results(fetches.size(), nullptr);
  Owned<TF_Status> status(TF_NewStatus());
  Owned<TF_Buffer> options = RunOptionsUntil(deadline);
  TF_SessionRun(session_.get(), options.get(), feeds.data(), values.data(),
                static_cast<int>(feeds.size()), fetches.data(), results.data(),
                static_cast<int>(fetches.size()), nullptr, 0, nullptr,
                status.get());
  std::vector<Owned<TF_Tensor>> answers;
  for (TF_Tensor* result : results) answers.emplace_back(result);
  if (TF_GetCode(status.get()) == TF_DEADLINE_EXCEEDED) {
    return DeadlineExceeded("policy " + name() + " ran out of time");
  }
  if (TF_GetCode(status.get()) != TF_OK) {
    return Unavailable("policy " + name() +
                       " failed: " + TF_Message(status.get()));
  }
  Decision decision;
  Logits& logits = decision.logits.emplace();
  logits.num_ops = features.num_ops;
  logits.num_devices = features.num_devices;
  for (size_t i = 0; i < outputs_.size(); ++i) {
    GO_RETURN_IF_ERROR(ReadLogits(outputs_[i], answers[i].get(), &logits));
  }
  return decision;
}

Status SavedModelPolicy::ReadLogits(const Port& port, const TF_Tensor* tensor,
                                    Logits* logits) const {
  if (TF_TensorType(tensor) != TF_FLOAT) {
    return InvalidArgument(
        "policy " + name() + " returned " + port.name + " as dtype " +
        std::to_string(TF_TensorType(tensor)) + ", expected float32");
  }
  std::vector<int64_t> dims;
  for (int i = 0; i < TF_NumDims(tensor); ++i) {
    dims.push_back(TF_Dim(tensor, i));
  }
  std::vector<int64_t> expected = {logits->num_ops};
  if (port.name == "device") expected.push_back(logits->num_devices);
  if (dims != expected) {
    return InvalidArgument("policy " + name() + " returned " + port.name +
                           " of shape " + DimsToString(dims) + ", expected " +
                           DimsToString(expected));
  }
  const float* data = static_cast<const float*>(TF_TensorData(tensor));
  FindLogits(logits, port.name)
      ->assign(data, data + TF_TensorElementCount(tensor));
  return OkStatus();
}

Status SavedModelPolicy::WarmUp() {
  Features features;
  features.num_ops = 4;
  features.num_devices = 1;
  features.op_type.assign(4, 0);
  features.op_features.assign(4 * features.num_op_columns, 0.0f);
  features.edge_src = {0, 1, 2};
  features.edge_dst = {1, 2, 3};
  features.edge_features.assign(3, 0.0f);
  features.device_features.assign(features.num_device_columns, 0.0f);
  features.link_features.assign(features.num_link_columns, 0.0f);
  features.op_device_micros.assign(4, 0.0f);
  features.unit = {0, 1, 2, 3};
  features.allowed.assign(4, 1.0f);
  const Deadline deadline =
      std::chrono::steady_clock::now() + std::chrono::seconds(60);
  return Run(features, deadline).status();
}

StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return NotFound("cannot read " + path);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

}  // namespace

StatusOr<std::shared_ptr<Policy>> LoadSavedModelPolicy(
    const std::string& folder) {
  StatusOr<PolicyFolder> described = ReadPolicyFolder(folder);
  if (!described.ok()) return described.status();
  StatusOr<std::string> bytes = ReadFile(folder + "/saved_model.pb");
  if (!bytes.ok()) return bytes.status();
  StatusOr<SavedModelSignature> signature = CheckSavedModel(*bytes);
  if (!signature.ok()) return signature.status();
  StatusOr<SchemaAdapter> adapter =
      SchemaAdapter::Create(described->op_features, described->device_features,
                            described->link_features, described->vocabulary);
  if (!adapter.ok()) return adapter.status();
  auto policy = std::make_shared<SavedModelPolicy>(std::move(*described),
                                                   std::move(*adapter));
  GO_RETURN_IF_ERROR(policy->Load(*signature));
  GO_RETURN_IF_ERROR(policy->WarmUp());
  return std::shared_ptr<Policy>(std::move(policy));
}

}  // namespace grappler_go
