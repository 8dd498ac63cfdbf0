"""One folder of cc/ as a library and its tests, found by glob."""

def grappler_library(name, deps = []):
    """A cc_library of cc/<name>, and one cc_test for each of its *_test.cc.

    Args:
      name: the folder.
      deps: the folders it may use, which is where the order of dependencies is
        enforced; "tensorflow" and "json" for the two outside.
    """
    outside = {
        "tensorflow": "@tensorflow//:c_api",
        "json": "@nlohmann//:json",
    }
    native.cc_library(
        name = name,
        srcs = native.glob(
            ["cc/%s/*.cc" % name],
            exclude = ["cc/**/*_test.cc", "cc/**/*_benchmark.cc"],
        ),
        hdrs = native.glob(["cc/%s/*.h" % name]),
        linkopts = ["-ldl", "-lpthread"],
        visibility = ["//visibility:public"],
        deps = [outside.get(dep, ":" + dep) for dep in deps],
        # The plugin's entry points are called from outside by name.
        alwayslink = True,
    )
    for test in native.glob(["cc/%s/*_test.cc" % name]):
        native.cc_test(
            name = test[len("cc/"):-len(".cc")].replace("/", "_"),
            srcs = [test],
            size = "medium",
            env = {
                "ASAN_OPTIONS": "detect_leaks=%d" % (0 if "tensorflow" in deps else 1),
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
            # Without "-Wextra" noise from other people's headers.
            deps = [":" + name, ":testing", "@googletest//:gtest_main"] +
                   [outside.get(dep, ":" + dep) for dep in deps],
        )
