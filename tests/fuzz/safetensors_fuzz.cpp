// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "runtime/model/errors.hpp"
#include "runtime/model/safetensors.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace troupe;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = memfd_create("safetensors", MFD_CLOEXEC);  // a file without a disk
  require(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  try {
    safetensors_file stored{"/proc/self/fd/" + std::to_string(file)};
    std::size_t bytes = 0;
    unsigned sum = 0;
    for (const auto& [name, tensor] : stored.tensors()) {
      for (auto byte : tensor.bytes)
        sum += static_cast<unsigned>(byte);
      bytes += tensor.bytes.size();
    }
    require(bytes <= size && sum <= 255U * bytes);
  } catch (const weights_error&) {
  }
  return 0;
}
