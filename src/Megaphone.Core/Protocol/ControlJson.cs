using System.Text.Json;
using System.Text.Json.Serialization;

namespace Megaphone.Protocol;

/// <summary>
/// Source-generated JSON for control packets. They are read as an object of any members, because members that nobody
/// knows are no error, and those that are known are looked at only where their op wants them.
/// </summary>
[JsonSourceGenerationOptions(MaxDepth = MaxDepth)]
[JsonSerializable(typeof(Dictionary<string, JsonElement>))]
internal sealed partial class ControlJson : JsonSerializerContext
{
    /// <summary>How deep objects and arrays may be nested in a control packet.</summary>
    public const int MaxDepth = 16;
}
