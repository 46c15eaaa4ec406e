using System.Reflection;

namespace Megaphone;

/// <summary>Which version this binary is; <c>Directory.Build.props</c> is the one place that says it.</summary>
internal static class ProductVersion
{
    /// <summary>For example <c>0.1.0</c>.</summary>
    public static string Current { get; } =
        typeof(ProductVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
}
