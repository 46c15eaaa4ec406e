namespace Megaphone.EndToEnd.Support;

/// <summary>
/// A library of a few lines of C beside this file, which is loaded into a process before its own and changes what the machine does to it.
/// </summary>
internal sealed class Preload : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-preload-").FullName;

    private Preload()
    {
    }

    /// <summary>The environment variable that has a process load it.</summary>
    public IReadOnlyDictionary<string, string?> Environment => new Dictionary<string, string?> { ["LD_PRELOAD"] = Library };

    private string Library => Path.Combine(_folder, "preload.so");

    /// <summary>Compiles it.</summary>
    /// <param name="name">Its file, without <c>.c</c>.</param>
    public static async Task<Preload> CompileAsync(string name)
    {
        Preload made = new();
        string source = Path.Combine(Repository.Root, "tests/Megaphone.EndToEnd/Support", $"{name}.c");
        using ChildProcess compiler = ChildProcess.Start(["clang", "-Wall", "-Werror", "-shared", "-fPIC", "-o", made.Library, source]);
        Assert.True(await compiler.EndAsync() == 0, compiler.Said);
        return made;
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
