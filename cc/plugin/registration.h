// May this library register with the TensorFlow in this process?
//
// TensorFlow aborts the process when a second plugin optimizer registers for a
// device type, and its C API cannot be asked who is there; so the libraries of
// the process are looked through before anything is registered.
//
// Nor can TF_InitGraph refuse: TensorFlow 2.21 aborts the process on an error
// from it. A library that may not register says so here, and registers for a
// device type that does not exist, which TensorFlow never asks about.
#ifndef GRAPPLER_GO_PLUGIN_REGISTRATION_H_
#define GRAPPLER_GO_PLUGIN_REGISTRATION_H_

#include <string>
#include <string_view>

#include "cc/base/status.h"

namespace grappler_go {

// "2.16.2" and newer are accepted, whatever comes after the second number.
// Error kFailedPrecondition, one sentence naming both versions.
Status CheckTensorFlowVersion(std::string_view version);

// The file of another library in this process that defines TF_InitGraph; empty
// when there is none.
std::string OtherPluginLibrary();

// Both of the above. Error kFailedPrecondition, one sentence.
Status CheckMayRegister();

// What became of registering with TensorFlow: OK; the reason why not; or
// kUnavailable before TensorFlow has loaded this library. Thread safe.
Status RegistrationOutcome();
void SetRegistrationOutcome(const Status& outcome);

}  // namespace grappler_go

#endif  // GRAPPLER_GO_PLUGIN_REGISTRATION_H_
