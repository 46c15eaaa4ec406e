namespace Megaphone.Values;

/// <summary>Parses one setting's text.</summary>
/// <returns>What is wrong with it, as the end of a sentence that begins with the key; null when it is valid.</returns>
internal delegate string? ValueReader<T>(string text, out T value);
