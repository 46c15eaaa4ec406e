using System.Text.Json.Serialization;

namespace Megaphone.Operator;

/// <summary>The JSON that operators' commands and the status page get: names in camel case, what is null left out.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(StatusReport))]
[JsonSerializable(typeof(ClientsReport))]
[JsonSerializable(typeof(ConfigurationReport))]
[JsonSerializable(typeof(Answer))]
internal sealed partial class OperatorJson : JsonSerializerContext;
