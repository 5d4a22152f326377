// The results as JSON: an array with one object per system and mode, written pairing by pairing. A run that ends early
// leaves the objects of the pairings it finished.
#pragma once

#include <filesystem>
#include <fstream>

#include "vs_kernel/options.hpp"
#include "vs_kernel/result.hpp"

namespace bench {

class JsonFile {
public:
    /// An empty path: nothing is written. Throws std::runtime_error when the file cannot be.
    explicit JsonFile(const std::filesystem::path& path);
    JsonFile(const JsonFile&) = delete;
    JsonFile& operator=(const JsonFile&) = delete;
    ~JsonFile();

    /// Figures are medians over the rounds; `ops_per_s_min` and `_max` give their spread. No string in it needs
    /// escaping: all are names from these programs. `paired_with` tells the several measurements of faultline apart.
    void add(const Options& options, const Pairing& pairing);

    /// Ends the array. Throws std::runtime_error when not all could be written.
    void close();

private:
    void add_system(const Options& options, const SystemResult& system, const std::string& paired_with);

    std::filesystem::path path_;
    std::ofstream out_;
    const char* separator_ = "\n";
};

}  // namespace bench
