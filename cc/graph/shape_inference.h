// Shapes and dtypes of every output of an OpGraph.
//
//   InferShapes(&graph);   // OpGraph::Parse does this when infer_shapes is set
//
// The graphs that a plugin sees carry shapes on _Arg (_output_shapes, and
// _handle_shapes for variables) and on little else, so the rest follows by one
// rule per op type, applied in op order. Small integer tensors (shape
// arguments, axes, paddings) are followed by value, each element known or not.
//
// What comes out is what TensorFlow's own shape functions would say, or less:
// an op without a rule, a rule that lacks what it needs, and inconsistent or
// hostile attributes all give "unknown", never an error. A loop variable whose
// value has another shape after an iteration is unknown in that respect.
#ifndef GRAPPLER_GO_GRAPH_SHAPE_INFERENCE_H_
#define GRAPPLER_GO_GRAPH_SHAPE_INFERENCE_H_

#include "cc/graph/op_graph.h"

namespace grappler_go {

// Fills the dtypes and shapes that OpGraph::dtype and OpGraph::shape return.
void InferShapes(OpGraph* graph);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_GRAPH_SHAPE_INFERENCE_H_
