// Where the files that ship beside this library are.
#ifndef GRAPPLER_GO_POLICY_PACKAGE_FOLDER_H_
#define GRAPPLER_GO_POLICY_PACKAGE_FOLDER_H_

#include <string>

namespace grappler_go {

// The folder of this shared library, which is that of the grappler_go package:
// policies/, machines/ and the extension module _core. Links are followed.
// Empty when this code is not in a file.
std::string PackageFolder();

}  // namespace grappler_go

#endif  // GRAPPLER_GO_POLICY_PACKAGE_FOLDER_H_
