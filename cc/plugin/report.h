// What happened to each graph, and why.
#ifndef GRAPPLER_GO_PLUGIN_REPORT_H_
#define GRAPPLER_GO_PLUGIN_REPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cc/graph/fingerprint.h"

namespace grappler_go {

struct Report {
  int64_t id = 0;  // counts up in the process
  Fingerprint fingerprint;
  // A few names of the graph's outputs, so that users recognise it.
  std::vector<std::string> fetches;
  int32_t num_nodes = 0;
  int64_t graph_bytes = 0;
  bool applied = false;
  // "applied", or why the graph was left alone: one of a few fixed phrases,
  // followed by details where there are any.
  std::string outcome;
  // What else the user should know: a record folder that cannot be written.
  std::vector<std::string> notes;
  std::string policy;
  int32_t loops = 0;    // that XLA runs as a whole
  int32_t updates = 0;  // of variables, each done by one kernel
  int32_t moved = 0, groups = 0, grouped_ops = 0, recomputed = 0, ordered = 0;
  int32_t nodes_after = 0;
  double micros_before = 0, micros_after = 0;           // predicted
  int64_t peak_bytes_before = 0, peak_bytes_after = 0;  // predicted
  std::map<std::string, int32_t> left_out;              // PlanExplanation
  // Milliseconds: "parse", "updates", "rows", "features", "policy", "plan",
  // "rewrite", "verify". "policy" and "plan" are missing when the decision came
  // from the cache.
  std::map<std::string, double> timing_ms;
};

// The last kMaxReports of the process, oldest first. Thread safe.
constexpr int kMaxReports = 1000;
void AddReport(Report report);  // sets id
// Those with an id above `after`.
std::vector<Report> Reports(int64_t after = 0);
// The id of the latest; 0: there was none.
int64_t LastReportId();
// What became of a graph after it was reported, and how many of its function's
// loops had been handed to XLA before. Does nothing when the report is no
// longer kept.
void AmendReport(int64_t id, bool applied, const std::string& outcome,
                 const std::string& note, int32_t loops = 0);
void ClearReports();
std::string ReportsToJson(const std::vector<Report>& reports);
// One line for people.
std::string ReportLine(const Report& report);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_REPORT_H_
