"""Image classifiers of keras.applications, Inception-v3 of the paper among them."""

import tensorflow as tf

from grappler_go_training.workloads import layers, steps
from grappler_go_training.workloads.registry import both, workload
from grappler_go_training.workloads.workload import Made


@workload("inception-v3-b32", "inception-v3", training=True, num_devices=2, batch=32)
@workload("inception-v3-b64", "inception-v3", training=True, num_devices=2, batch=64)
def inception_v3(batch: int) -> Made:
    """One training step of Inception-v3 (Szegedy et al. 2016).

    The paper says: batch 32 and 64, 2 GPUs. Images of 299 x 299 x 3 (Mirhoseini et al.
    2017); that of keras.applications, without the auxiliary head; RMSProp, as in
    Szegedy et al.
    """
    network = tf.keras.applications.InceptionV3(weights=None, classifier_activation=None)
    images, labels = layers.normal(batch, 299, 299, 3), layers.tokens(1000, batch, salt=2)
    return steps.keras_step(network, (images,), labels, training=True, optimizer="rmsprop")


@both("inception-v3-b8", "inception-v3", model="InceptionV3", batch=8)
@both("resnet-50", "resnet", model="ResNet50", batch=32)
@both("resnet-101", "resnet", model="ResNet101", batch=16)
@both("resnet-152", "resnet", model="ResNet152", batch=16)
@both("nasnet-mobile", "nasnet", model="NASNetMobile", batch=32)
@both("nasnet-large", "nasnet", model="NASNetLarge", batch=8)
@both("mobilenet-v2", "mobilenet", model="MobileNetV2", batch=32)
@both("mobilenet-v3-small", "mobilenet", model="MobileNetV3Small", batch=32)
@both("densenet-121", "densenet", model="DenseNet121", batch=16)
@both("densenet-201", "densenet", model="DenseNet201", batch=8)
@both("efficientnet-b0", "efficientnet", model="EfficientNetB0", batch=32)
@both("efficientnet-b4", "efficientnet", model="EfficientNetB4", batch=8)
@both("convnext-tiny", "convnext", model="ConvNeXtTiny", batch=16)
def application(model: str, batch: int, training: bool) -> Made:
    """A model of keras.applications with 1000 classes, at its own image size, trained by
    Keras's Adam on cross entropy."""
    make = getattr(tf.keras.applications, model)
    network = make(weights=None, classifier_activation=None)
    size = network.input_shape[1] or 224  # MobileNetV3 takes any
    images, labels = layers.normal(batch, size, size, 3), layers.tokens(1000, batch, salt=2)
    return steps.keras_step(network, (images,), labels, training=training)
