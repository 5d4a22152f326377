// Writes the results as JSON: an array with one object per system and mode, pairing by pairing. A run that ends early
// leaves the objects of the pairings it finished.
#pragma once

#include <filesystem>
#include <fstream>

#include "vs_kernel/options.hpp"
#include "vs_kernel/result.hpp"

namespace bench {

class JsonFile {
public:
    /// Opens the file; an empty path writes nothing. Throws std::runtime_error if it cannot be written.
    explicit JsonFile(const std::filesystem::path& path);
    JsonFile(const JsonFile&) = delete;
    JsonFile& operator=(const JsonFile&) = delete;
    ~JsonFile();

    /// Writes the objects of a pairing. Figures are medians over the rounds; `ops_per_s_min` and `_max` are their
    /// range. `paired_with` distinguishes measurements of faultline.
    void add(const Options& options, const Pairing& pairing);

    /// Ends the array. Throws std::runtime_error if not all could be written.
    void close();

private:
    void add_system(const Options& options, const SystemResult& system, const std::string& paired_with);

    std::filesystem::path path_;
    std::ofstream out_;
    const char* separator_ = "\n";
};

}  // namespace bench
