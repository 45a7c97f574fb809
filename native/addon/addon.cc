// SPDX-License-Identifier: Apache-2.0
// What JavaScript sees of the kernels and of other processes' sockets. Every argument is checked here: a wrong one is an
// error, never a crash. No kernel allocates but for the number that it returns.

#include <napi.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "kernels.h"
#include "mapping.h"
#include "pages.h"
#include "sockets.h"

namespace slackwater {
namespace {

constexpr double kMaxBits = 4294967295.0;

[[noreturn]] void Refuse(const Napi::Env &env, const std::string &message) {
  throw Napi::RangeError::New(env, message);
}

size_t NumberArgument(const Napi::CallbackInfo &info, size_t index, const char *name, double most) {
  if (!info[index].IsNumber()) Refuse(info.Env(), std::string("wanted a number as ") + name);
  const double value = info[index].As<Napi::Number>().DoubleValue();
  if (!(value >= 0 && value <= most) || value != static_cast<double>(static_cast<uint64_t>(value))) {
    Refuse(info.Env(), std::string("wanted 0 to ") + std::to_string(static_cast<uint64_t>(most)) + " as " + name +
                           ", got " + std::to_string(value));
  }
  return static_cast<size_t>(value);
}

template <typename Array>
Array ArrayArgument(const Napi::CallbackInfo &info, size_t index, const char *name, napi_typedarray_type type) {
  if (!info[index].IsTypedArray() || info[index].As<Napi::TypedArray>().TypedArrayType() != type) {
    Refuse(info.Env(), std::string("wanted another typed array as ") + name);
  }
  return info[index].As<Array>();
}

size_t WordsOf(size_t bits) { return (bits + 63) / 64; }

const uint64_t *BitsArgument(const Napi::CallbackInfo &info, size_t index, const char *name, size_t bits) {
  const auto array = ArrayArgument<Napi::Uint8Array>(info, index, name, napi_uint8_array);
  if (array.ByteLength() < WordsOf(bits) * 8) {
    Refuse(info.Env(), std::string("wanted ") + std::to_string(WordsOf(bits) * 8) + " bytes as " + name + ", got " +
                           std::to_string(array.ByteLength()));
  }
  const uint8_t *data = array.Data();
  if (reinterpret_cast<uintptr_t>(data) % 8 != 0) Refuse(info.Env(), std::string(name) + " is not aligned to 8 bytes");
  return reinterpret_cast<const uint64_t *>(data);
}

void WantWritable(const Napi::Env &env, const void *data, const char *name) {
  if (IsMapped(data)) Refuse(env, std::string(name) + " lies in a file that is only to be read");
}

uint32_t *Uint32Argument(const Napi::CallbackInfo &info, size_t index, const char *name, size_t *length) {
  auto array = ArrayArgument<Napi::Uint32Array>(info, index, name, napi_uint32_array);
  *length = array.ElementLength();
  WantWritable(info.Env(), array.Data(), name);
  return array.Data();
}

uint8_t *HeatArgument(const Napi::CallbackInfo &info, size_t index, size_t bits) {
  auto array = ArrayArgument<Napi::Uint8Array>(info, index, "heat", napi_uint8_array);
  if (array.ByteLength() < WordsOf(bits) * 64) {
    Refuse(info.Env(), "wanted " + std::to_string(WordsOf(bits) * 64) + " bytes as heat, got " +
                           std::to_string(array.ByteLength()));
  }
  WantWritable(info.Env(), array.Data(), "heat");
  return array.Data();
}

template <typename Work>
void Guarded(const Napi::Env &env, Work work) {
  if (!ReadGuarded([](void *context) { (*static_cast<Work *>(context))(); }, &work)) {
    throw Napi::Error::New(env, "the file behind the bitmap was truncated");
  }
}

const Kernels &KernelsOf(const Napi::CallbackInfo &info) { return *static_cast<const Kernels *>(info.Data()); }

Napi::Value CountOf(const Napi::CallbackInfo &info, Combine combine) {
  const bool two = combine != Combine::kFirst;
  const size_t bits = NumberArgument(info, two ? 2 : 1, "bits", kMaxBits);
  const uint64_t *a = BitsArgument(info, 0, "a", bits);
  const uint64_t *b = two ? BitsArgument(info, 1, "b", bits) : nullptr;
  const Kernels &kernels = KernelsOf(info);
  uint64_t count = 0;
  Guarded(info.Env(), [&] {
    count = kernels.count(combine, a, b, bits / 64);
    if (bits % 64 != 0) {
      const uint64_t last = Combined(combine, a, b, bits / 64) & ((1ull << (bits % 64)) - 1);
      count += static_cast<uint64_t>(__builtin_popcountll(last));
    }
  });
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

Napi::Value Count(const Napi::CallbackInfo &info) { return CountOf(info, Combine::kFirst); }
Napi::Value CountAnd(const Napi::CallbackInfo &info) { return CountOf(info, Combine::kAnd); }
Napi::Value CountOr(const Napi::CallbackInfo &info) { return CountOf(info, Combine::kOr); }
Napi::Value CountAndNot(const Napi::CallbackInfo &info) { return CountOf(info, Combine::kAndNot); }

uint64_t *WritableBitsArgument(const Napi::CallbackInfo &info, size_t index, const char *name, size_t bits) {
  const uint64_t *data = BitsArgument(info, index, name, bits);
  WantWritable(info.Env(), data, name);
  return const_cast<uint64_t *>(data);
}

// merge(into, from, bits)
void MergeInto(const Napi::CallbackInfo &info) {
  const size_t bits = NumberArgument(info, 2, "bits", kMaxBits);
  uint64_t *into = WritableBitsArgument(info, 0, "into", bits);
  const uint64_t *from = BitsArgument(info, 1, "from", bits);
  Guarded(info.Env(), [&] { Merge(into, from, WordsOf(bits)); });
}

// countHeat(heat, bits, counts)
void CountHeatOf(const Napi::CallbackInfo &info) {
  const size_t bits = NumberArgument(info, 1, "bits", kMaxBits);
  const uint8_t *heat = HeatArgument(info, 0, bits);
  size_t room = 0;
  uint32_t *counts = Uint32Argument(info, 2, "counts", &room);
  if (room < 256) Refuse(info.Env(), "wanted 256 counts, got " + std::to_string(room));
  CountHeat(heat, bits, counts);
}

// hotter(heat, bits, least, out)
void HotterThan(const Napi::CallbackInfo &info) {
  const size_t bits = NumberArgument(info, 1, "bits", kMaxBits);
  const uint8_t *heat = HeatArgument(info, 0, bits);
  const auto least = static_cast<uint8_t>(NumberArgument(info, 2, "least", 255));
  Hotter(heat, bits, least, WritableBitsArgument(info, 3, "out", bits));
}

// heat(heat, dirty, bits, rise, decayShift)
void HeatStep(const Napi::CallbackInfo &info) {
  const size_t bits = NumberArgument(info, 2, "bits", kMaxBits);
  uint8_t *heat = HeatArgument(info, 0, bits);
  const uint64_t *dirty = BitsArgument(info, 1, "dirty", bits);
  const auto rise = static_cast<uint8_t>(NumberArgument(info, 3, "rise", 255));
  const auto decay_shift = static_cast<unsigned>(NumberArgument(info, 4, "decayShift", 8));
  const Kernels &kernels = KernelsOf(info);
  Guarded(info.Env(), [&] {
    kernels.heat(heat, dirty, bits / 64, rise, decay_shift);
    if (bits % 64 != 0) {
      const uint64_t last = dirty[bits / 64] & ((1ull << (bits % 64)) - 1);
      HeatWord(heat + bits / 64 * 64, last, rise, decay_shift);
    }
  });
}

// extents(bits, bitCount, from, out): how many pairs
Napi::Value ExtentsOf(const Napi::CallbackInfo &info) {
  const size_t bits = NumberArgument(info, 1, "bits", kMaxBits);
  const uint64_t *data = BitsArgument(info, 0, "a", bits);
  const size_t from = NumberArgument(info, 2, "from", kMaxBits);
  size_t room = 0;
  uint32_t *out = Uint32Argument(info, 3, "out", &room);
  size_t found = 0;
  Guarded(info.Env(), [&] { found = Extents(data, bits, from, out, room / 2); });
  return Napi::Number::New(info.Env(), static_cast<double>(found));
}

// order(heat, within, bits, out): how many pages
Napi::Value OrderOf(const Napi::CallbackInfo &info) {
  const size_t bits = NumberArgument(info, 2, "bits", kMaxBits);
  const uint8_t *heat = HeatArgument(info, 0, bits);
  const uint64_t *within = BitsArgument(info, 1, "within", bits);
  size_t room = 0;
  uint32_t *out = Uint32Argument(info, 3, "out", &room);
  size_t found = 0;
  Guarded(info.Env(), [&] { found = Order(heat, within, bits, out, room); });
  return Napi::Number::New(info.Env(), static_cast<double>(found));
}

// reuse(lastRound, dirty, bits, round, histogram)
void ReuseStep(const Napi::CallbackInfo &info) {
  const size_t bits = NumberArgument(info, 2, "bits", kMaxBits);
  size_t pages = 0, buckets = 0;
  uint32_t *last_round = Uint32Argument(info, 0, "lastRound", &pages);
  if (pages < bits) Refuse(info.Env(), "wanted an entry of lastRound for each of " + std::to_string(bits) + " pages");
  const uint64_t *dirty = BitsArgument(info, 1, "dirty", bits);
  const auto round = static_cast<uint32_t>(NumberArgument(info, 3, "round", kMaxBits));
  uint32_t *histogram = Uint32Argument(info, 4, "histogram", &buckets);
  if (buckets == 0) Refuse(info.Env(), "wanted a histogram with entries");
  Guarded(info.Env(), [&] { Reuse(last_round, dirty, bits, round, histogram, buckets); });
}

// mapFile(path, size): a Uint8Array over the file, unmapped when it is collected or by unmapFile
Napi::Value Map(const Napi::CallbackInfo &info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) Refuse(env, "wanted a path");
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  const size_t size = NumberArgument(info, 1, "size", 1e15);
  if (size == 0) Refuse(env, "wanted a size above 0");
  uint8_t *data = MapFile(path.c_str(), size);
  if (data == nullptr) throw Napi::Error::New(env, "cannot map " + path + ": " + std::strerror(errno));
  const auto unmap = [](Napi::Env, void *mapped, size_t *mapped_size) {
    UnmapFile(static_cast<uint8_t *>(mapped), *mapped_size);
    delete mapped_size;
  };
  return Napi::Uint8Array::New(env, size, Napi::ArrayBuffer::New(env, data, size, unmap, new size_t(size)), 0);
}

constexpr double kMaxInt = 2147483647.0;
// Bytes per second; no link is that fast.
constexpr double kMaxRate = 1e12;

[[noreturn]] void FailWithErrno(const Napi::Env &env) { throw Napi::Error::New(env, std::strerror(errno)); }

struct Descriptor {
  pid_t pid;
  int fd;
};

Descriptor DescriptorArgument(const Napi::CallbackInfo &info) {
  return {static_cast<pid_t>(NumberArgument(info, 0, "pid", kMaxInt)),
          static_cast<int>(NumberArgument(info, 1, "fd", kMaxInt))};
}

// mayBorrow(pid, fd)
void MayBorrowOf(const Napi::CallbackInfo &info) {
  const auto [pid, fd] = DescriptorArgument(info);
  if (!MayBorrow(pid, fd)) FailWithErrno(info.Env());
}

// tcpPath(pid, fd) -> { minRttUs, ackedBytes, busyUs, queuedBytes }
Napi::Value TcpPathOf(const Napi::CallbackInfo &info) {
  const auto [pid, fd] = DescriptorArgument(info);
  TcpPath path = {};
  if (!ReadTcpPath(pid, fd, &path)) FailWithErrno(info.Env());
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("minRttUs", static_cast<double>(path.min_rtt_us));
  object.Set("ackedBytes", static_cast<double>(path.acked_bytes));
  object.Set("busyUs", static_cast<double>(path.busy_us));
  object.Set("queuedBytes", static_cast<double>(path.queued_bytes));
  return object;
}

// setSendBuffer(pid, fd, bytes)
void SetSendBufferOf(const Napi::CallbackInfo &info) {
  const auto [pid, fd] = DescriptorArgument(info);
  const int bytes = static_cast<int>(NumberArgument(info, 2, "bytes", kMaxInt));
  if (!SetSendBuffer(pid, fd, bytes)) FailWithErrno(info.Env());
}

// setNoDelay(pid, fd)
void SetNoDelayOf(const Napi::CallbackInfo &info) {
  const auto [pid, fd] = DescriptorArgument(info);
  if (!SetNoDelay(pid, fd)) FailWithErrno(info.Env());
}

// setPacingRate(pid, fd, bytesPerSec | null)
void SetPacingRateOf(const Napi::CallbackInfo &info) {
  const auto [pid, fd] = DescriptorArgument(info);
  const uint64_t rate = info[2].IsNull()
                            ? UINT64_MAX
                            : static_cast<uint64_t>(NumberArgument(info, 2, "bytesPerSec", kMaxRate));
  if (!SetPacingRate(pid, fd, rate)) FailWithErrno(info.Env());
}

Napi::Object SocketObject(const Napi::Env &env) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("mayBorrow", Napi::Function::New(env, MayBorrowOf, "mayBorrow"));
  object.Set("tcpPath", Napi::Function::New(env, TcpPathOf, "tcpPath"));
  object.Set("setSendBuffer", Napi::Function::New(env, SetSendBufferOf, "setSendBuffer"));
  object.Set("setNoDelay", Napi::Function::New(env, SetNoDelayOf, "setNoDelay"));
  object.Set("setPacingRate", Napi::Function::New(env, SetPacingRateOf, "setPacingRate"));
  return object;
}

Napi::Object KernelObject(const Napi::Env &env, const Kernels &kernels) {
  void *data = const_cast<Kernels *>(&kernels);
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", kernels.name);
  object.Set("count", Napi::Function::New(env, Count, "count", data));
  object.Set("countAnd", Napi::Function::New(env, CountAnd, "countAnd", data));
  object.Set("countOr", Napi::Function::New(env, CountOr, "countOr", data));
  object.Set("countAndNot", Napi::Function::New(env, CountAndNot, "countAndNot", data));
  object.Set("merge", Napi::Function::New(env, MergeInto, "merge", data));
  object.Set("countHeat", Napi::Function::New(env, CountHeatOf, "countHeat", data));
  object.Set("hotter", Napi::Function::New(env, HotterThan, "hotter", data));
  object.Set("heat", Napi::Function::New(env, HeatStep, "heat", data));
  object.Set("extents", Napi::Function::New(env, ExtentsOf, "extents", data));
  object.Set("order", Napi::Function::New(env, OrderOf, "order", data));
  object.Set("reuse", Napi::Function::New(env, ReuseStep, "reuse", data));
  return object;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("best", KernelObject(env, ChooseKernels()));
  exports.Set("scalar", KernelObject(env, kScalarKernels));
  exports.Set("mapFile", Napi::Function::New(env, Map, "mapFile"));
  exports.Set("sockets", SocketObject(env));
  return exports;
}

}  // namespace
}  // namespace slackwater

Napi::Object InitAddon(Napi::Env env, Napi::Object exports) { return slackwater::Init(env, exports); }

NODE_API_MODULE(slackwater, InitAddon)
