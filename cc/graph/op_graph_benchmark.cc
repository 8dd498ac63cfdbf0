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
#include "cc/testing/unrolled_network.h"

namespace grappler_go {
namespace {

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
