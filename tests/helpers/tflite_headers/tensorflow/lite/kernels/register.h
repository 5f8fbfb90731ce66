#pragma once
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/model.h"

namespace tflite {
namespace ops::builtin {
class BuiltinOpResolver {};
}  // namespace ops::builtin
class InterpreterBuilder {
 public:
  InterpreterBuilder(const FlatBufferModel& model, const ops::builtin::BuiltinOpResolver&)
      : model_(model) {}
  TfLiteStatus operator()(std::unique_ptr<Interpreter>* made) {
    *made = std::make_unique<Interpreter>(model_.type, model_.bytes);
    return kTfLiteOk;
  }

 private:
  const FlatBufferModel& model_;
};
}  // namespace tflite
