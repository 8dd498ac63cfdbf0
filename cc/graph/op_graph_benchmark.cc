// How long OpGraph::Parse takes: milliseconds, the best of several runs, for
// synthetic training steps of about 1k, 10k and 80k nodes.
//
//   op_graph_benchmark [runs]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cc/graph/op_graph.h"
#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {
namespace {

// An unrolled recurrent network with its backward pass: twenty nodes a step,
// with the attributes and the long names that TensorFlow writes.
std::string UnrolledNetwork(int32_t nodes) {
  const std::string device = "/job:localhost/replica:0/task:0/device:CPU:0";
  const GraphBuilder::Attrs unary = {{"T", TypeAttrValue(kFloat)}};
  const GraphBuilder::Attrs read = {{"dtype", TypeAttrValue(kFloat)}};
  const GraphBuilder::Attrs matmul = {{"T", TypeAttrValue(kFloat)},
                                      {"transpose_a", BoolAttrValue(false)},
                                      {"transpose_b", BoolAttrValue(false)},
                                      {"grad_a", BoolAttrValue(false)},
                                      {"grad_b", BoolAttrValue(false)}};
  const GraphBuilder::Attrs bias = {{"T", TypeAttrValue(kFloat)},
                                    {"data_format", StringAttrValue("NHWC")}};
  GraphBuilder b;
  b.Arg("inputs", {32, 256}).VarArg("kernel", {256, 256}).VarArg("bias", {256});
  std::string state = "inputs";
  for (int32_t step = 0; step < nodes / 20; ++step) {
    const std::string s =
        "functional_1/lstm_1/while_unrolled/step_" + std::to_string(step) + "/";
    const std::string g = "gradient_tape/" + s;
    b.Node(s + "kernel", "ReadVariableOp", {"kernel"}, read, device);
    b.Node(s + "MatMul", "MatMul", {state, s + "kernel"}, matmul, device);
    b.Node(s + "bias", "ReadVariableOp", {"bias"}, read, device);
    b.Node(s + "BiasAdd", "BiasAdd", {s + "MatMul", s + "bias"}, bias, device);
    std::string last = s + "BiasAdd";
    for (const char* op : {"Sigmoid", "Tanh", "Neg", "Exp", "Relu", "Square"}) {
      b.Node(s + op, op, {last}, unary, device);
      last = s + op;
    }
    b.Node(g + "Mul", "Mul", {last, s + "Tanh"}, unary, device);
    last = g + "Mul";
    for (const char* op : {"Sqrt", "Abs", "Rsqrt", "Sign", "Floor"}) {
      b.Node(g + op, op, {last, "^" + s + "Square"}, unary, device);
      last = g + op;
    }
    b.Node(g + "BiasAddGrad", "BiasAddGrad", {last}, bias, device);
    b.Node(g + "dx", "MatMul", {last, s + "kernel"}, matmul, device);
    b.Node(g + "dw", "MatMul", {state, last}, matmul, device);
    b.Node(g + "update", "AssignSubVariableOp", {"kernel", g + "dw"}, read,
           device);
    state = s + "Square";
  }
  return b.Retval("out", state).Build();
}

double ParseMilliseconds(const std::string& bytes, bool shapes, int runs) {
  double best = 1e30;
  for (int run = 0; run < runs; ++run) {
    ParseOptions options;
    options.infer_shapes = shapes;
    const auto start = std::chrono::steady_clock::now();
    const StatusOr<OpGraph> graph = OpGraph::Parse(bytes, options);
    const std::chrono::duration<double, std::milli> took =
        std::chrono::steady_clock::now() - start;
    if (!graph.ok()) {
      std::fprintf(stderr, "%s\n", graph.status().message().c_str());
      std::exit(1);
    }
    best = std::min(best, took.count());
  }
  return best;
}

}  // namespace
}  // namespace grappler_go

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 10;
  std::printf("%8s %10s %12s %12s\n", "nodes", "MB", "parse ms", "shapes ms");
  for (int nodes : {1000, 10000, 80000}) {
    const std::string bytes = grappler_go::UnrolledNetwork(nodes);
    const double parse = grappler_go::ParseMilliseconds(bytes, false, runs);
    const double all = grappler_go::ParseMilliseconds(bytes, true, runs);
    std::printf("%8d %10.1f %12.2f %12.2f\n", nodes, bytes.size() / 1e6, parse,
                all - parse);
  }
  return 0;
}
