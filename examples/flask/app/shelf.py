from flask import Flask, jsonify

app = Flask(__name__)
JARS = {"plum": 3, "honey": 1}


@app.get("/")
def shelf():
    return jsonify(JARS)


@app.get("/<name>")
def jar(name):
    return (jsonify({name: JARS[name]}), 200) if name in JARS else (jsonify(error=f"no {name} here"), 404)
