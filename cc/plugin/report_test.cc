#include "cc/plugin/report.h"

#include <gtest/gtest.h>

#include "cc/base/json.h"
#include "cc/testing/at_once.h"

namespace grappler_go {
namespace {

TEST(Reports, AreNumberedAndKeptUpToABound) {
  ClearReports();
  for (int i = 0; i < kMaxReports + 5; ++i) AddReport(Report());
  const std::vector<Report> reports = Reports();
  ASSERT_EQ(reports.size(), static_cast<size_t>(kMaxReports));
  EXPECT_EQ(reports.back().id - reports.front().id, kMaxReports - 1);
  ClearReports();
  EXPECT_TRUE(Reports().empty());
}

TEST(Reports, AreReadFromOneOnAndAmended) {
  ClearReports();
  AddReport(Report());
  const int64_t first = LastReportId();
  EXPECT_TRUE(Reports(first).empty());
  Report applied;
  applied.applied = true;
  AddReport(applied);
  ASSERT_EQ(Reports(first).size(), 1u);
  EXPECT_EQ(LastReportId(), first + 1);
  AmendReport(first + 1, false, "undone", "it was slower");
  AmendReport(first + 1, false, "undone", "", 2);
  AmendReport(first + 7, true, "there is none", "");
  const Report amended = Reports(first)[0];
  EXPECT_FALSE(amended.applied);
  EXPECT_EQ(amended.outcome, "undone");
  EXPECT_EQ(amended.notes, std::vector<std::string>{"it was slower"});
  EXPECT_EQ(amended.loops, 2);
  EXPECT_EQ(Reports()[0].outcome, "");
  ClearReports();
}

TEST(Reports, ComeFromThreadsAtOnce) {
  ClearReports();
  AddReport(Report());
  const int64_t first = Reports().back().id;
  AtOnce([](int) { AddReport(Report()); });
  const std::vector<Report> reports = Reports();
  EXPECT_EQ(reports.back().id - first, kCallsAtOnce);
  for (size_t i = 1; i < reports.size(); ++i) {
    EXPECT_EQ(reports[i].id - reports[i - 1].id, 1);
  }
  ClearReports();
}

TEST(Reports, BecomeJsonWhateverBytesTheNamesAreMadeOf) {
  Report report;
  report.fetches = {"ok", "\xff\xfe"};
  report.outcome = "applied";
  report.applied = true;
  report.timing_ms["parse"] = 1.5;
  report.left_out["no XLA kernel"] = 3;
  const Json json = ParseJson(ReportsToJson({report}));
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(JsonText(json[0]["outcome"]), "\"applied\"");
  EXPECT_EQ(JsonText(json[0]["fetches"][0]), "\"ok\"");
  EXPECT_EQ(JsonText(json[0]["timing_ms"]), "{\"parse\":1.5}");
  EXPECT_EQ(JsonText(json[0]["left_out"]), "{\"no XLA kernel\":3}");
}

TEST(Reports, HaveALineForPeople) {
  Report report;
  report.num_nodes = 40;
  report.fetches = {"loss"};
  report.outcome = "smaller than min_ops";
  report.notes = {"not recorded: cannot write /x"};
  const std::string line = ReportLine(report);
  for (const char* part :
       {"40 nodes", "loss", "smaller than min_ops", "cannot write /x"}) {
    EXPECT_NE(line.find(part), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace grappler_go
