// A while loop whose first result hangs on its second variable by the loop
// alone.
#ifndef GRAPPLER_GO_TESTING_LOOP_GRAPH_H_
#define GRAPPLER_GO_TESTING_LOOP_GRAPH_H_

#include <string>

namespace grappler_go {

// Two loop variables: no path of edges leads from what enters the second to the
// first one's result, but the loop has no result before both have entered.
//
//   x -> enter1 ... exit1 -> after           beside (of x)
//   x -> late0 -> ... -> late7 -> enter2     sum = exit1 + late7
std::string LoopOfTwoVariables();

}  // namespace grappler_go

#endif  // GRAPPLER_GO_TESTING_LOOP_GRAPH_H_
