// A Machine in memory: files are strings, mounts a list, programs do what the test says, time moves
// when somebody naps. Keeps what was done in order, so that a test can ask what came before what.
// Single-threaded.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/init/boot/machine.h"

namespace basalt::init {

class FakeMachine : public Machine {
 public:
  struct Mounted {
    std::string source, target, type, options;
    unsigned long flags;
  };

  bool OwnsKernel() override { return owns_kernel; }
  int64_t Now() override { return now; }
  void Nap(int64_t ns) override { now += ns; }
  int64_t WallSeconds() override { return wall; }
  int SetWallSeconds(int64_t seconds) override {
    wall = seconds;
    return 0;
  }
  bool Exists(const char* path) override {
    if (files.contains(path) || directories.contains(path)) return true;
    return !Below(path).empty();
  }
  bool IsMounted(const char* path) override {
    for (const Mounted& m : mounts) {
      if (m.target == path && (m.flags & kChange) == 0) return true;
    }
    return false;
  }
  int MakeDirectory(const char* path, unsigned) override {
    directories.insert(path);
    return 0;
  }
  int SetMode(const char* path, unsigned mode) override {
    modes[path] = mode;
    return 0;
  }
  long Read(const char* path, uint64_t offset, void* data, size_t size) override {
    if (int error = Failure("read", path); error != 0) return -error;
    if (auto slice = slices.find(path); slice != slices.end()) {
      if (offset >= slice->second.size) return 0;
      size = std::min<uint64_t>(size, slice->second.size - offset);
      return Read(slice->second.disk.c_str(), slice->second.start + offset, data, size);
    }
    auto file = files.find(path);
    if (file == files.end()) return -ENOENT;
    if (offset >= file->second.size()) return 0;
    size = std::min(size, file->second.size() - offset);
    memcpy(data, file->second.data() + offset, size);
    return static_cast<long>(size);
  }
  int Write(const char* path, const void* data, size_t size) override {
    if (int error = Failure("write", path); error != 0) return error;
    if (!files.contains(path) && !any_file) return ENOENT;
    files[path] = std::string(static_cast<const char*>(data), size);
    done.push_back(std::string("write ") + path + " " + files[path]);
    return 0;
  }
  int WriteDurably(const char* path, uint64_t offset, const void* data, size_t size) override {
    if (int error = Failure("write", path); error != 0) return error;
    if (writes_left == 0) return EIO;
    --writes_left;
    done.push_back(std::string("write ") + path);
    if (auto slice = slices.find(path); slice != slices.end()) {
      files[slice->second.disk].replace(slice->second.start + offset, size,
                                        static_cast<const char*>(data), size);
      return 0;
    }
    files[path].replace(offset, size, static_cast<const char*>(data), size);
    return 0;
  }
  int Replace(const char* path, const void* data, size_t size) override {
    if (int error = Failure("write", path); error != 0) return error;
    files[path] = std::string(static_cast<const char*>(data), size);
    done.push_back(std::string("replace ") + path);
    return 0;
  }
  int Copy(const char* from, const char* to, size_t most, unsigned) override {
    if (int error = Failure("copy", from); error != 0) return error;
    if (!files.contains(from)) return ENOENT;
    if (files[from].size() > most) return EFBIG;
    files[to] = files[from];
    done.push_back(std::string("copy ") + from + " " + to);
    return 0;
  }
  int Rename(const char* from, const char* to) override {
    if (int error = Failure("rename", from); error != 0) return error;
    files[to] = files.at(from);
    files.erase(from);
    done.push_back(std::string("rename ") + from + " " + to);
    return 0;
  }
  int Remove(const char* path) override {
    if (int error = Failure("remove", path); error != 0) return error;
    if (files.erase(path) > 0) done.push_back(std::string("remove ") + path);
    return 0;
  }
  int List(const char* directory, Names* names) override {
    *names = {};
    for (const std::string& name : Below(directory)) {
      strncpy(names->name[names->count++], name.c_str(), Names::kSize - 1);
    }
    return names->count > 0 || directories.contains(directory) ? 0 : ENOENT;
  }
  int DeviceOf(const char*, unsigned* major, unsigned* minor) override {
    *major = root_major;
    *minor = 0;
    return 0;
  }
  int Mount(const char* source, const char* target, const char* type, unsigned long flags,
            const char* options) override {
    if (int error = Failure("mount", target); error != 0) return error;
    auto text = [](const char* t) { return std::string(t != nullptr ? t : ""); };
    mounts.push_back({text(source), target, text(type), text(options), flags});
    done.push_back("mount " + text(source) + " " + target);
    return 0;
  }
  int Unmount(const char* target) override {
    if (int error = Failure("unmount", target); error != 0) return error;
    done.push_back(std::string("unmount ") + target);
    auto same = [&](const Mounted& m) { return m.target == target; };
    mounts.erase(std::remove_if(mounts.begin(), mounts.end(), same), mounts.end());
    return 0;
  }
  int ResizePartition(const char* disk, int number, uint64_t start, uint64_t size) override {
    if (int error = Failure("resize", disk); error != 0) return error;
    for (auto& [path, slice] : slices) {
      if (slice.disk != disk || slice.number != number) continue;
      if (slice.start != start || start + size > files[disk].size()) return EINVAL;
      slice.size = size;
      files["/sys/class/block" + path.substr(4) + "/size"] = std::to_string(size / 512) + "\n";
      done.push_back(std::string("resize ") + path + " " + std::to_string(size));
      return 0;
    }
    return ENXIO;
  }
  int Erase(const char* device, Erasure how, uint64_t offset, uint64_t size) override {
    static constexpr const char* kHow[] = {"zero", "discard", "secure-discard"};
    if (int error = Failure("erase", kHow[static_cast<int>(how)]); error != 0) return error;
    if (writes_left == 0) return EIO;
    --writes_left;
    now += erase_ns;
    done.push_back(std::string("erase ") + kHow[static_cast<int>(how)] + " " + device);
    files[device].replace(offset, size, size, '\0');
    return 0;
  }
  int LoadModule(const char* path) override {
    if (int error = Failure("module", path); error != 0) return error;
    done.push_back(std::string("module ") + path);
    return 0;
  }
  int LinkUp(const char* interface) override {
    if (int error = Failure("link", interface); error != 0) return error;
    done.push_back(std::string("link ") + interface);
    return 0;
  }
  int SetLimits(uint64_t) override { return 0; }
  int RandomBytes(void* data, size_t size) override {
    memset(data, ++random, size);
    return 0;
  }
  int AddEntropy(const void*, size_t size, bool credit) override {
    done.push_back(credit ? "credit" : "mix");
    return 0;
  }
  int Run(const char* const* argv, int64_t, Exited* exited) override {
    std::string line;
    for (; *argv != nullptr; ++argv) line += (line.empty() ? "" : " ") + std::string(*argv);
    done.push_back("run " + line);
    *exited = {.pid = 2};
    return run ? run(line, exited) : 0;
  }
  int Apart(int (*work)(Machine& machine), int64_t) override { return work(*this); }
  int OpenWatchdog(int64_t* timeout_ns) override {
    if (watchdog_error != 0) return watchdog_error;
    if (watchdog_ns != 0) *timeout_ns = watchdog_ns;
    done.push_back("watchdog");
    return 0;
  }
  int SetWatchdog(int64_t* timeout_ns) override {
    if (watchdog_ns != 0) *timeout_ns = watchdog_ns;
    done.push_back("watchdog " + std::to_string(*timeout_ns / 1000000000));
    return 0;
  }
  int PetWatchdog() override {
    pets.push_back(now);
    return 0;
  }
  int SignalAll(int signal) override {
    done.push_back("signal " + std::to_string(signal));
    if (signal == 9) children = survivors;
    return 0;
  }
  bool AwaitNoChildren(int64_t limit_ns) override {
    if (children > 0) now += limit_ns;
    return children == 0;
  }
  void SyncAll() override { done.push_back("sync"); }
  void Finish(End end) override { done.push_back(end == End::kReboot ? "reboot" : "power off"); }
  void Say(const char* text) override { said.push_back(text); }

  // The next such call on that path fails, for ever.
  void Fail(const std::string& what, const std::string& path, int error) {
    failures[{what, path}] = error;
  }
  // Where in `done` the first entry with this beginning stands; -1: nowhere.
  long Find(const std::string& begin) const {
    for (size_t i = 0; i < done.size(); ++i) {
      if (done[i].rfind(begin, 0) == 0) return static_cast<long>(i);
    }
    return -1;
  }
  bool Said(const std::string& part) const {
    for (const std::string& line : said) {
      if (line.find(part) != std::string::npos) return true;
    }
    return false;
  }
  const Mounted* MountOf(const std::string& target) const {
    for (const Mounted& m : mounts) {
      if (m.target == target) return &m;
    }
    return nullptr;
  }
  // A partition of `size` zero bytes on the disk of that number.
  void AddPartition(const std::string& device, const std::string& name, size_t size,
                    const std::string& disk = "253:0\n") {
    std::string block = "/sys/class/block/" + device;
    files[block + "/uevent"] =
        "MAJOR=253\nDEVNAME=" + device + "\nDEVTYPE=partition\nPARTNAME=" + name + "\n";
    files[block + "/size"] = std::to_string(size / 512) + "\n";
    files[block + "/../dev"] = disk;
    files["/dev/" + device] = std::string(size, 0);
  }
  // A disk as a whole, and a partition that is a part of its bytes, as the kernel saw it at boot.
  void AddDisk(const std::string& name, size_t size) {
    files["/dev/" + name] = std::string(size, 0);
  }
  void AddSlice(const std::string& disk, int number, const std::string& name, size_t start,
                size_t size) {
    std::string device = disk + std::to_string(number);
    std::string block = "/sys/class/block/" + device;
    AddPartition(device, name, 0);
    files.erase("/dev/" + device);
    files[block + "/size"] = std::to_string(size / 512) + "\n";
    files[block + "/start"] = std::to_string(start / 512) + "\n";
    files[block + "/partition"] = std::to_string(number) + "\n";
    files[block + "/../size"] = std::to_string(files["/dev/" + disk].size() / 512) + "\n";
    files[block + "/../uevent"] = "MAJOR=253\nDEVNAME=" + disk + "\nDEVTYPE=disk\n";
    files[block + "/../queue/logical_block_size"] = "512\n";
    slices["/dev/" + device] = {"/dev/" + disk, number, start, size};
  }
  // The root comes from this partition's disk, through a device of the mapper.
  void BootFrom(const std::string& device) {
    root_major = 254;
    directories.insert("/sys/dev/block/254:0/slaves/" + device);
    files["/sys/dev/block/254:0/slaves/" + device + "/x"] = "";
  }

  struct Slice {
    std::string disk;
    int number = 0;
    uint64_t start = 0, size = 0;
  };
  std::map<std::string, Slice> slices;
  size_t writes_left = SIZE_MAX;  // durable ones; then the power is gone

  bool owns_kernel = true;
  int64_t erase_ns = 0;  // how long a piece takes
  int64_t now = 1000000000;
  int64_t wall = 2000000000;
  unsigned root_major = 0;
  bool any_file = true;  // whatever the kernel is asked to set, it has
  int random = 0;
  int children = 0;
  int survivors = 0;  // of SIGKILL
  int watchdog_error = 0;
  int64_t watchdog_ns = 0;
  std::function<int(const std::string&, Exited*)> run;
  std::map<std::string, std::string> files;
  std::set<std::string> directories;
  std::map<std::string, unsigned> modes;
  std::vector<Mounted> mounts;
  std::vector<int64_t> pets;
  std::vector<std::string> done, said;
  std::map<std::pair<std::string, std::string>, int> failures;

 private:
  static constexpr unsigned long kChange = 32 | (1 << 20);  // MS_REMOUNT, MS_SHARED

  int Failure(const std::string& what, const std::string& path) const {
    auto found = failures.find({what, path});
    return found == failures.end() ? 0 : found->second;
  }
  std::set<std::string> Below(const std::string& directory) const {
    std::set<std::string> names;
    std::string prefix = directory + "/";
    for (const auto& [path, text] : files) {
      if (path.rfind(prefix, 0) != 0) continue;
      std::string rest = path.substr(prefix.size());
      names.insert(rest.substr(0, rest.find('/')));
    }
    return names;
  }
};

}  // namespace basalt::init
