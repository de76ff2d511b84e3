// SPDX-License-Identifier: Apache-2.0
// What a CUDA program's device did, as it ran: a library that the driver loads into it (CUDA_INJECTION64_PATH), which
// writes a line for each kernel and each copy to the file that KERNEL_TRACE names, with the process's number after it:
// "start end device kind name", times in nanoseconds. With KERNEL_TRACE_GRAPHS=1 a graph is one line: less is
// disturbed. tools/gpu_profile.sh uses it.
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

#include <cupti.h>
#include <unistd.h>

namespace {

constexpr std::size_t buffer_bytes = std::size_t{8} << 20;

std::mutex writing;
std::FILE* file = nullptr;

template <class Record>
void write_line(const Record& record, const char* kind, const std::string& name) {
  std::fprintf(file, "%llu %llu %u %s %s\n", static_cast<unsigned long long>(record.start),
               static_cast<unsigned long long>(record.end), record.deviceId, kind, name.c_str());
}

void write_record(const CUpti_Activity* record) {
  switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const auto* kernel = reinterpret_cast<const CUpti_ActivityKernel10*>(record);
      write_line(*kernel, "kernel", kernel->name);
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto* copy = reinterpret_cast<const CUpti_ActivityMemcpy6*>(record);
      write_line(*copy, "copy", std::to_string(copy->copyKind));
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto* set = reinterpret_cast<const CUpti_ActivityMemset4*>(record);
      write_line(*set, "copy", "set");
      break;
    }
    case CUPTI_ACTIVITY_KIND_GRAPH_TRACE: {
      const auto* graph = reinterpret_cast<const CUpti_ActivityGraphTrace2*>(record);
      write_line(*graph, "kernel", "graph");
      break;
    }
    default:
      break;
  }
}

void give_buffer(std::uint8_t** buffer, std::size_t* size, std::size_t* records_max) {
  *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(8, buffer_bytes));
  *size = *buffer == nullptr ? 0 : buffer_bytes;
  *records_max = 0;
}

void take_buffer(CUcontext, std::uint32_t, std::uint8_t* buffer, std::size_t, std::size_t valid) {
  const std::lock_guard lock(writing);
  CUpti_Activity* record = nullptr;
  while (file != nullptr && cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS)
    write_record(record);
  if (file != nullptr) std::fflush(file);  // a process may end without a last word
  std::free(buffer);
}

void finish() {
  cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
  const std::lock_guard lock(writing);
  std::fclose(file);
  file = nullptr;
}

}  // namespace

extern "C" int InitializeInjection() {
  const char* path = std::getenv("KERNEL_TRACE");
  if (path == nullptr) return 1;
  file = std::fopen((std::string(path) + "." + std::to_string(getpid())).c_str(), "w");
  if (file == nullptr) return 1;
  cuptiActivityRegisterCallbacks(give_buffer, take_buffer);
  cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
  cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMCPY);
  cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMSET);
  if (std::getenv("KERNEL_TRACE_GRAPHS") != nullptr) cuptiActivityEnable(CUPTI_ACTIVITY_KIND_GRAPH_TRACE);
  cuptiActivityFlushPeriod(500);
  std::atexit(finish);
  return 1;
}
