// As much of TensorFlow Lite's C++ interface as the exported program uses, for tests. Its network
// gives back the number that came in. The "model" is a text: the type, and the bytes of all numbers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
enum TfLiteType { kTfLiteFloat32 = 1, kTfLiteInt16 = 7, kTfLiteInt8 = 9 };
struct TfLiteTensor {
  TfLiteType type;
  std::size_t bytes;
};

namespace tflite {
class Interpreter {
 public:
  Interpreter(int type, std::size_t bytes) : tensor_{static_cast<TfLiteType>(type), bytes} {}
  TfLiteStatus AllocateTensors() {
    in_.resize(tensor_.bytes);
    out_.resize(tensor_.bytes);
    return kTfLiteOk;
  }
  TfLiteStatus Invoke() {
    out_ = in_;
    return kTfLiteOk;
  }
  TfLiteTensor* input_tensor(std::size_t) { return &tensor_; }
  TfLiteTensor* output_tensor(std::size_t) { return &tensor_; }
  template <class T>
  T* typed_input_tensor(int) { return reinterpret_cast<T*>(in_.data()); }
  template <class T>
  T* typed_output_tensor(int) { return reinterpret_cast<T*>(out_.data()); }

 private:
  TfLiteTensor tensor_;
  std::vector<char> in_, out_;
};
}  // namespace tflite
