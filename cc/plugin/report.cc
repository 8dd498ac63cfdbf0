#include "cc/plugin/report.h"

#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "cc/base/counted.h"

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

nlohmann::json ToJson(const Report& r) {
  return {{"id", r.id},
          {"fingerprint", r.fingerprint.ToString()},
          {"fetches", r.fetches},
          {"num_nodes", r.num_nodes},
          {"graph_bytes", r.graph_bytes},
          {"applied", r.applied},
          {"outcome", r.outcome},
          {"notes", r.notes},
          {"policy", r.policy},
          {"moved", r.moved},
          {"groups", r.groups},
          {"grouped_ops", r.grouped_ops},
          {"recomputed", r.recomputed},
          {"ordered", r.ordered},
          {"nodes_after", r.nodes_after},
          {"micros_before", r.micros_before},
          {"micros_after", r.micros_after},
          {"peak_bytes_before", r.peak_bytes_before},
          {"peak_bytes_after", r.peak_bytes_after},
          {"left_out", r.left_out},
          {"timing_ms", r.timing_ms}};
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
                 const std::string& note) {
  Log& log = TheLog();
  const std::lock_guard<std::mutex> lock(log.mutex);
  for (Report& report : log.reports) {
    if (report.id != id) continue;
    report.applied = applied;
    report.outcome = outcome;
    report.notes.push_back(note);
  }
}

void ClearReports() {
  Log& log = TheLog();
  const std::lock_guard<std::mutex> lock(log.mutex);
  log.reports.clear();
}

std::string ReportsToJson(const std::vector<Report>& reports) {
  nlohmann::json json = nlohmann::json::array();
  for (const Report& report : reports) json.push_back(ToJson(report));
  // Names in a graph are any bytes; what is not UTF-8 is replaced.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string ReportLine(const Report& r) {
  std::string line = "grappler_go: graph " +
                     r.fingerprint.ToString().substr(0, 8) + ", " +
                     std::to_string(r.num_nodes) + " nodes";
  if (!r.fetches.empty()) line += " -> " + r.fetches.front();
  line += ": " + r.outcome;
  if (r.applied) {
    line += " (" + Counted(r.grouped_ops, "op") + " in " +
            Counted(r.groups, "group") + ", " + std::to_string(r.moved) +
            " moved, " + std::to_string(r.recomputed) + " recomputed)";
  }
  for (const std::string& note : r.notes) line += "; " + note;
  return line;
}

}  // namespace grappler_go
