#include "cc/testing/unrolled_network.h"

#include "cc/graph/wire.h"
#include "cc/testing/graph_builder.h"

namespace grappler_go {

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

}  // namespace grappler_go
