#include "cc/plugin/registration.h"

#include <dlfcn.h>
#include <link.h>

#include <charconv>
#include <filesystem>
#include <mutex>
#include <vector>

#include "tensorflow/c/c_api.h"

namespace grappler_go {
namespace {

constexpr int kOldestMajor = 2, kOldestMinor = 16;

struct Outcome {
  std::mutex mutex;
  Status status = Unavailable("TensorFlow has not loaded grappler-go yet");
};

Outcome& TheOutcome() {
  static Outcome* const outcome = new Outcome;
  return *outcome;
}

int CollectName(dl_phdr_info* info, size_t, void* names) {
  if (info->dlpi_name != nullptr && info->dlpi_name[0] != '\0') {
    static_cast<std::vector<std::string>*>(names)->push_back(info->dlpi_name);
  }
  return 0;
}

// The file that an address was loaded from.
std::string FileOf(const void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return "";
  std::error_code error;
  const auto path = std::filesystem::canonical(info.dli_fname, error);
  return error ? info.dli_fname : path.string();
}

}  // namespace

Status CheckTensorFlowVersion(std::string_view version) {
  int major = 0, minor = 0;
  const char* const end = version.data() + version.size();
  const auto [dot, error] = std::from_chars(version.data(), end, major);
  if (error == std::errc() && dot != end) {
    std::from_chars(dot + 1, end, minor);
  }
  if (major > kOldestMajor ||
      (major == kOldestMajor && minor >= kOldestMinor)) {
    return OkStatus();
  }
  return FailedPrecondition(
      "grappler-go needs TensorFlow " + std::to_string(kOldestMajor) + "." +
      std::to_string(kOldestMinor) + " or newer; this is TensorFlow " +
      std::string(version));
}

std::string OtherPluginLibrary() {
  const std::string own =
      FileOf(reinterpret_cast<const void*>(&OtherPluginLibrary));
  std::vector<std::string> libraries;
  dl_iterate_phdr(CollectName, &libraries);
  for (const std::string& library : libraries) {
    void* const handle = dlopen(library.c_str(), RTLD_LAZY | RTLD_NOLOAD);
    if (handle == nullptr) continue;
    // Also finds the symbol in what the library depends on, so the file that
    // counts is the one in which the symbol lies.
    const void* const symbol = dlsym(handle, "TF_InitGraph");
    dlclose(handle);
    if (symbol == nullptr) continue;
    const std::string file = FileOf(symbol);
    if (file != own) return file;
  }
  return "";
}

Status CheckMayRegister() {
  GO_RETURN_IF_ERROR(CheckTensorFlowVersion(TF_Version()));
  const std::string other = OtherPluginLibrary();
  if (!other.empty()) {
    return FailedPrecondition(
        "another graph optimizer plugin is in this process, and TensorFlow "
        "takes one only: " +
        other);
  }
  return OkStatus();
}

Status RegistrationOutcome() {
  Outcome& outcome = TheOutcome();
  const std::lock_guard<std::mutex> lock(outcome.mutex);
  return outcome.status;
}

void SetRegistrationOutcome(const Status& status) {
  Outcome& outcome = TheOutcome();
  const std::lock_guard<std::mutex> lock(outcome.mutex);
  outcome.status = status;
}

}  // namespace grappler_go
