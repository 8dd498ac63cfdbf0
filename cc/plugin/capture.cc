#include "cc/plugin/capture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>

#include "cc/base/json.h"

namespace grappler_go {
namespace {

struct Buffer {
  std::mutex mutex;
  std::vector<CapturedGraph> graphs;
};

Buffer& TheBuffer() {
  static Buffer* const buffer = new Buffer;
  return *buffer;
}

Status CannotWrite(const std::string& path) {
  return Unavailable("cannot write " + path + ": " + std::strerror(errno));
}

// Writes beside the file and renames, so that no reader sees half of it.
Status WriteWhole(const std::string& path, std::string_view bytes) {
  static std::atomic<int> counter{0};
  const std::string temporary = path + ".tmp" + std::to_string(getpid()) + "_" +
                                std::to_string(counter++);
  const int file =
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return CannotWrite(temporary);
  Status status;
  while (!bytes.empty() && status.ok()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written > 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (written < 0 && errno != EINTR) {
      status = CannotWrite(temporary);
    }
  }
  if (close(file) != 0 && status.ok()) status = CannotWrite(temporary);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = CannotWrite(path);
  }
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

}  // namespace

void AddCaptured(CapturedGraph graph) {
  Buffer& buffer = TheBuffer();
  const std::lock_guard<std::mutex> lock(buffer.mutex);
  buffer.graphs.push_back(std::move(graph));
}

std::vector<CapturedGraph> TakeCaptured() {
  Buffer& buffer = TheBuffer();
  const std::lock_guard<std::mutex> lock(buffer.mutex);
  return std::exchange(buffer.graphs, {});
}

Status RecordGraph(const std::string& folder, const Fingerprint& fingerprint,
                   std::string_view graphdef,
                   const std::vector<std::string>& fetches,
                   const std::vector<std::string>& preserve, int num_nodes) {
  if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) {
    return CannotWrite(folder);
  }
  const std::string stem = folder + "/" + fingerprint.ToString();
  // The description is written last: where it is, the graph is.
  if (access((stem + ".json").c_str(), F_OK) == 0) return OkStatus();
  GO_RETURN_IF_ERROR(WriteWhole(stem + ".pb", graphdef));
  Json description;
  description["fetches"] = fetches;
  description["num_nodes"] = num_nodes;
  description["preserve"] = preserve;
  return WriteWhole(stem + ".json", JsonText(description, 2) + "\n");
}

}  // namespace grappler_go
