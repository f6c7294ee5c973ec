#include "runtime/cgroup_devices.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

namespace ctr {

namespace {

DeviceRule allow(char type, std::optional<std::int64_t> major, std::optional<std::int64_t> minor,
                 const char* access = "rwm") {
  return {.is_allowed = true, .type = type, .major = major, .minor = minor, .access = access};
}

std::string number_text(const std::optional<std::int64_t>& number) {
  return number ? std::to_string(*number) : "*";
}

/// "c 1:3 rwm", or "a" for everything.
std::string rule_text(const DeviceRule& rule) {
  if (rule.type == 'a' && !rule.major && !rule.minor && rule.access == "rwm") return "a";
  return std::string(1, rule.type) + " " + number_text(rule.major) + ":" + number_text(rule.minor) + " " + rule.access;
}

bool covers(const std::optional<std::int64_t>& wide, const std::optional<std::int64_t>& narrow) {
  return !wide || wide == narrow;
}

/// The list of v1 holds what is allowed; a denial takes out of it only what it names exactly. A hole in something wider
/// would silently not be there.
void refuse_holes(const std::vector<DeviceRule>& rules) {
  for (std::size_t index = 0; index < rules.size(); ++index) {
    const DeviceRule& denied = rules[index];
    if (denied.is_allowed || rule_text(denied) == "a") continue;
    for (std::size_t before = index; before-- > 0 && rule_text(rules[before]) != "a";) {
      const DeviceRule& wide = rules[before];
      const bool is_same_place = wide.type == denied.type && wide.major == denied.major && wide.minor == denied.minor;
      const bool is_wider = (wide.type == denied.type || wide.type == 'a') && covers(wide.major, denied.major) &&
                            covers(wide.minor, denied.minor) && !is_same_place;
      // Making a node is allowed to everybody below, and opens nothing.
      const bool shares_access = wide.access.find_first_of("rw") != std::string::npos &&
                                 denied.access.find_first_of("rw") != std::string::npos;
      if (!wide.is_allowed || !is_wider || !shares_access) continue;
      throw Error(ErrorKind::Unavailable, "cgroup v1 cannot deny the device " + json_quote(rule_text(denied)) +
                                              " after allowing " + json_quote(rule_text(wide)));
    }
  }
}

/// v1 takes type "a" only as "everything": with numbers it stands for both types.
void write_v1_rule(const Fd& allow_file, const Fd& deny_file, const DeviceRule& rule) {
  const auto write = [&](const DeviceRule& one) {
    const std::string text = rule_text(one);
    const Fd& file = one.is_allowed ? allow_file : deny_file;
    check(::write(file.get(), text.data(), text.size()), "set the device rule", text);
  };
  if (rule.type != 'a' || rule_text(rule) == "a") return write(rule);
  for (const char type : {'b', 'c'}) {
    DeviceRule one = rule;
    one.type = type;
    write(one);
  }
}

/// Assembles the few instructions that are needed.
class DeviceProgram {
 public:
  DeviceProgram() {
    // r1 is the context: access << 16 | type, major, minor.
    load(BPF_REG_2, 0);
    emit(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
    emit(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xFFFF);
    emit(BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
    load(BPF_REG_4, 4);
    load(BPF_REG_5, 8);
  }

  void add(const DeviceRule& rule) {
    std::vector<std::size_t> to_next;
    const auto jump_unless_equal = [&](std::uint8_t reg, std::int32_t value) {
      to_next.push_back(program_.size());
      emit(BPF_JMP | BPF_JNE | BPF_K, reg, 0, 0, value);
    };
    if (rule.type != 'a') jump_unless_equal(BPF_REG_2, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
    const std::int32_t access = access_mask(rule.access);
    if (access != access_mask("rwm")) {
      emit(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
      emit(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, access);
      to_next.push_back(program_.size());
      if (rule.is_allowed) {
        // All that is asked for must be allowed.
        emit(BPF_JMP | BPF_JNE | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
      } else {
        // Any of it may be denied.
        emit(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, 0);
      }
    }
    if (rule.major) jump_unless_equal(BPF_REG_4, static_cast<std::int32_t>(*rule.major));
    if (rule.minor) jump_unless_equal(BPF_REG_5, static_cast<std::int32_t>(*rule.minor));
    finish_with(rule.is_allowed ? 1 : 0);
    for (const std::size_t jump : to_next) {
      program_[jump].off = static_cast<std::int16_t>(program_.size() - jump - 1);
    }
    is_decided_ = to_next.empty();
  }

  /// Whether a rule without conditions was added: what follows would never run, and the kernel refuses dead code.
  bool is_decided() const { return is_decided_; }

  std::string finish() {
    if (!is_decided_) finish_with(0);
    return {reinterpret_cast<const char*>(program_.data()), program_.size() * sizeof(bpf_insn)};
  }

 private:
  static std::int32_t access_mask(std::string_view access) {
    std::int32_t mask = 0;
    if (access.find('m') != std::string_view::npos) mask |= BPF_DEVCG_ACC_MKNOD;
    if (access.find('r') != std::string_view::npos) mask |= BPF_DEVCG_ACC_READ;
    if (access.find('w') != std::string_view::npos) mask |= BPF_DEVCG_ACC_WRITE;
    return mask;
  }
  void load(std::uint8_t reg, std::int16_t offset) { emit(BPF_LDX | BPF_MEM | BPF_W, reg, BPF_REG_1, offset, 0); }
  void finish_with(std::int32_t value) {
    emit(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value);
    emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  }
  void emit(int code, std::uint8_t destination, std::uint8_t source, std::int16_t offset, std::int32_t immediate) {
    bpf_insn instruction{};
    instruction.code = static_cast<std::uint8_t>(code);
    instruction.dst_reg = destination & 0xF;
    instruction.src_reg = source & 0xF;
    instruction.off = offset;
    instruction.imm = immediate;
    program_.push_back(instruction);
  }

  std::vector<bpf_insn> program_;
  bool is_decided_ = false;
};

long bpf(int command, bpf_attr& attributes) {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

std::vector<std::uint32_t> attached_programs(int directory) {
  std::vector<std::uint32_t> ids(64);
  bpf_attr attributes{};
  attributes.query.target_fd = static_cast<std::uint32_t>(directory);
  attributes.query.attach_type = BPF_CGROUP_DEVICE;
  attributes.query.prog_ids = reinterpret_cast<std::uint64_t>(ids.data());
  attributes.query.prog_cnt = static_cast<std::uint32_t>(ids.size());
  if (bpf(BPF_PROG_QUERY, attributes) < 0) return {};
  ids.resize(attributes.query.prog_cnt);
  return ids;
}

void detach_program(int directory, std::uint32_t id) {
  bpf_attr by_id{};
  by_id.prog_id = id;
  const Fd program(static_cast<int>(bpf(BPF_PROG_GET_FD_BY_ID, by_id)));
  if (!program) return;
  bpf_attr attributes{};
  attributes.target_fd = static_cast<std::uint32_t>(directory);
  attributes.attach_bpf_fd = static_cast<std::uint32_t>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  bpf(BPF_PROG_DETACH, attributes);
}

/// Attaches the new program before the old ones go, so that there is no moment without rules.
void attach_program(const fs::path& path, const std::string& code) {
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = reinterpret_cast<std::uint64_t>(code.data());
  load.insn_cnt = static_cast<std::uint32_t>(code.size() / sizeof(bpf_insn));
  load.license = reinterpret_cast<std::uint64_t>("Apache-2.0");
  const Fd program(static_cast<int>(check(bpf(BPF_PROG_LOAD, load), "load the device rules")));
  const Fd directory = open_file(path, O_RDONLY | O_DIRECTORY);
  const std::vector<std::uint32_t> old = attached_programs(directory.get());
  bpf_attr attach{};
  attach.target_fd = static_cast<std::uint32_t>(directory.get());
  attach.attach_bpf_fd = static_cast<std::uint32_t>(program.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  check(bpf(BPF_PROG_ATTACH, attach), "attach the device rules to", path);
  for (const std::uint32_t id : old) detach_program(directory.get(), id);
}

/// A process in a user namespace cannot set device rules, and needs none: it can make no device.
bool is_in_user_namespace() {
  const std::string map = find_file("/proc/self/uid_map", kMiB).value_or("");
  return map.find("4294967295") == std::string::npos;
}

}  // namespace

std::vector<DeviceRule> complete_device_rules(const std::vector<DeviceRule>& rules) {
  std::vector<DeviceRule> all = rules;
  for (const char type : {'c', 'b'}) all.push_back(allow(type, std::nullopt, std::nullopt, "m"));
  for (const int minor : {3, 5, 7, 8, 9}) all.push_back(allow('c', 1, minor));
  for (const int minor : {0, 1, 2}) all.push_back(allow('c', 5, minor));
  all.push_back(allow('c', 136, std::nullopt));
  return all;
}

std::string compile_device_program(const std::vector<DeviceRule>& rules) {
  DeviceProgram program;
  for (auto rule = rules.rbegin(); rule != rules.rend() && !program.is_decided(); ++rule) program.add(*rule);
  return program.finish();
}

void apply_device_rules(const Cgroup& group, const std::vector<DeviceRule>& rules) {
  if (rules.empty()) return;
  const std::vector<DeviceRule> all = complete_device_rules(rules);
  if (const auto directory = group.directory_of("devices")) {
    refuse_holes(rules);
    const Fd allow_file = open_file(*directory / "devices.allow", O_WRONLY);
    const Fd deny_file = open_file(*directory / "devices.deny", O_WRONLY);
    for (const DeviceRule& rule : all) write_v1_rule(allow_file, deny_file, rule);
    return;
  }
  const auto unified = group.directory_of("");
  if (!unified) throw Error(ErrorKind::Unavailable, "this machine has no cgroup that could restrict devices");
  try {
    attach_program(*unified, compile_device_program(all));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Denied || !is_in_user_namespace()) throw;
  }
}

}  // namespace ctr
