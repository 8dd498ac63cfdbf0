// A graph optimizer plugin for the CPU that is not ours: it takes the place
// that TensorFlow has for one, and does nothing.
#include "tensorflow/c/experimental/grappler/grappler.h"

extern "C" void TF_InitGraph(TP_OptimizerRegistrationParams* params,
                             TF_Status* status) {
  params->struct_size = TP_OPTIMIZER_REGISTRATION_PARAMS_STRUCT_SIZE;
  params->optimizer_configs->struct_size = TP_OPTIMIZER_CONFIGS_STRUCT_SIZE;
  params->optimizer->struct_size = TP_OPTIMIZER_STRUCT_SIZE;
  params->device_type = "CPU";
  params->optimizer->create_func = [] { return static_cast<void*>(nullptr); };
  params->optimizer->optimize_func =
      [](void*, const TF_Buffer*, const TF_GrapplerItem*, TF_Buffer*,
         TF_Status* s) { TF_SetStatus(s, TF_ABORTED, ""); };
  params->optimizer->destroy_func = [](void*) {};
  TF_SetStatus(status, TF_OK, "");
}
