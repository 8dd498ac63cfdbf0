#include "cc/plugin/report.h"

#include <deque>
#include <mutex>
#include <utility>

#include "cc/base/counted.h"
#include "cc/base/json.h"

namespace grappler_go {
namespace {

struct Log {
  std::mutex mutex;
  int64_t last_id = 0;
  std::deque<Report> reports;
};

// Never destroyed: threads of abandoned policies may outlive main().
Log& TheLog() {
  static Log* const log = new Log;
  return *log;
}

Json ToJson(const Report& r) {
  Json json;
  json["id"] = r.id;
  json["fingerprint"] = r.fingerprint.ToString();
  json["fetches"] = r.fetches;
  json["num_nodes"] = r.num_nodes;
  json["graph_bytes"] = r.graph_bytes;
  json["applied"] = r.applied;
  json["outcome"] = r.outcome;
  json["notes"] = r.notes;
  json["policy"] = r.policy;
  json["updates"] = r.updates;
  json["loops"] = r.loops;
  json["moved"] = r.moved;
  json["groups"] = r.groups;
  json["grouped_ops"] = r.grouped_ops;
  json["recomputed"] = r.recomputed;
  json["ordered"] = r.ordered;
  json["nodes_after"] = r.nodes_after;
  json["micros_before"] = r.micros_before;
  json["micros_after"] = r.micros_after;
  json["peak_bytes_before"] = r.peak_bytes_before;
  json["peak_bytes_after"] = r.peak_bytes_after;
  json["left_out"] = r.left_out;
  json["timing_ms"] = r.timing_ms;
  return json;
}

}  // namespace

void AddReport(Report report) {
  Log& log = TheLog();
  const std::lock_guard<std::mutex> lock(log.mutex);
  report.id = ++log.last_id;
  log.reports.push_back(std::move(report));
  if (log.reports.size() > kMaxReports) log.reports.pop_front();
}

std::vector<Report> Reports(int64_t after) {
  Log& log = TheLog();
  const std::lock_guard<std::mutex> lock(log.mutex);
  std::vector<Report> found;
  for (const Report& report : log.reports) {
    if (report.id > after) found.push_back(report);
  }
  return found;
}

int64_t LastReportId() {
  Log& log = TheLog();
  const std::lock_guard<std::mutex> lock(log.mutex);
  return log.last_id;
}

void AmendReport(int64_t id, bool applied, const std::string& outcome,
                 const std::string& note, int32_t loops) {
  Log& log = TheLog();
  const std::lock_guard<std::mutex> lock(log.mutex);
  for (Report& report : log.reports) {
    if (report.id != id) continue;
    report.applied = applied;
    report.outcome = outcome;
    if (!note.empty()) report.notes.push_back(note);
    report.loops += loops;
  }
}

void ClearReports() {
  Log& log = TheLog();
  const std::lock_guard<std::mutex> lock(log.mutex);
  log.reports.clear();
}

std::string ReportsToJson(const std::vector<Report>& reports) {
  Json json = Json::array();
  for (const Report& report : reports) json.push_back(ToJson(report));
  return JsonText(json, 2);
}

std::string ReportLine(const Report& r) {
  std::string line = "grappler_go: graph " +
                     r.fingerprint.ToString().substr(0, 8) + ", " +
                     std::to_string(r.num_nodes) + " nodes";
  if (!r.fetches.empty()) line += " -> " + r.fetches.front();
  line += ": " + r.outcome;
  if (r.applied) {
    line += " (" + Counted(r.loops, "loop") + " run by XLA, " +
            Counted(r.updates, "update") + " by one kernel, " +
            Counted(r.grouped_ops, "op") + " in " + Counted(r.groups, "group") +
            ", " + std::to_string(r.moved) + " moved, " +
            std::to_string(r.recomputed) + " recomputed)";
  }
  for (const std::string& note : r.notes) line += "; " + note;
  return line;
}

}  // namespace grappler_go
