#pragma once
#include "tensorflow/lite/interpreter.h"

namespace tflite {
class FlatBufferModel {
 public:
  static std::unique_ptr<FlatBufferModel> BuildFromFile(const char* path) {
    auto model = std::make_unique<FlatBufferModel>();
    std::ifstream file(path);
    if (!(file >> model->type >> model->bytes)) return nullptr;
    return model;
  }
  int type = 0;
  std::size_t bytes = 0;
};
}  // namespace tflite
