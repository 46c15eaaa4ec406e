using System.Text.Json;
using System.Text.Json.Serialization;

namespace Megaphone.Protocol;

/// <summary>
/// Source-generated JSON for control packets. They are read as an object with any members, because unknown members are
/// not an error, and known ones are checked only for the ops that have them.
/// </summary>
[JsonSourceGenerationOptions(MaxDepth = MaxDepth)]
[JsonSerializable(typeof(Dictionary<string, JsonElement>))]
internal sealed partial class ControlJson : JsonSerializerContext
{
    /// <summary>How deep objects and arrays may be nested in a control packet.</summary>
    public const int MaxDepth = 16;
}
