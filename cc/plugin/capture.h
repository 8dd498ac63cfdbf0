// Keeps the graphs that the pass sees: in memory, or as files in a folder.
#ifndef GRAPPLER_GO_PLUGIN_CAPTURE_H_
#define GRAPPLER_GO_PLUGIN_CAPTURE_H_

#include <string>
#include <string_view>
#include <vector>

#include "cc/base/status.h"
#include "cc/graph/fingerprint.h"

namespace grappler_go {

struct CapturedGraph {
  std::string graphdef;
  std::vector<std::string> fetches;
  std::vector<std::string> preserve;
};

void AddCaptured(CapturedGraph graph);
// All that were captured since the last call, oldest first. Thread safe.
std::vector<CapturedGraph> TakeCaptured();

// Writes <folder>/<fingerprint>.pb, the GraphDef, and <fingerprint>.json with
// "fetches", "preserve" and "num_nodes". A graph that is there already is not
// written again; a file appears whole or not at all. The folder is made if its
// parent exists. Error kUnavailable naming the file and why.
Status RecordGraph(const std::string& folder, const Fingerprint& fingerprint,
                   std::string_view graphdef,
                   const std::vector<std::string>& fetches,
                   const std::vector<std::string>& preserve, int num_nodes);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_CAPTURE_H_
