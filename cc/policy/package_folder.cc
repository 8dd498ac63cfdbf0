#include "cc/policy/package_folder.h"

#include <dlfcn.h>

#include <filesystem>

namespace grappler_go {

std::string PackageFolder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&PackageFolder), &info) == 0 ||
      info.dli_fname == nullptr) {
    return "";
  }
  std::error_code error;
  const std::filesystem::path library =
      std::filesystem::canonical(info.dli_fname, error);
  return error ? "" : library.parent_path().string();
}

}  // namespace grappler_go
